// The four charts. Each is made once; every second only the data of its series is merged, and it is disposed of when the page is left.
import * as echarts from "../../vendor/echarts/echarts.esm.min.mjs";
import { channelRate, gauge, percentile, rate } from "./points.js";

const STATES = ["sent", "delivered", "unknown", "failed", "suppressed"];
// Neighbours differ most: blue beside teal, violet, amber, grey.
const CHANNEL_TONES = ["queued", "sent", "suppressed", "unknown", "cancelled", "delivered", "sending"];
const DASHES = ["solid", "dashed", "dotted"];
const FULL_SHARE = 0.8;
const SUCCESS_AMBER = 99;
const SUCCESS_RED = 95;
const GROUP = "monitor";
const PARTS = 4; // of an axis
/** Where the axis of success may begin: its parts are round numbers, and what is usual fills it. */
const SUCCESS_FROM = [90, 80, 60, 0];

/** The colours of the tokens as the page paints them now. */
function palette() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  const names = ["pending", ...STATES, "queued", "sending", "cancelled", "ink", "ink-soft", "border", "surface"];
  const found = Object.fromEntries(names.map((name) => [name, colour(name)]));
  probe.remove();
  return found;
}

const textSize = () => Math.round(Math.max(12, Math.min(20, window.innerWidth / 96)));

/** What a line looks like and where its values come from, for each chart; `texts` are the words. */
function lines(name, points, texts) {
  if (name === "throughput") {
    return [
      { id: "accepted", label: texts.accepted, tone: "pending", dash: "dashed", value: rate("accepted") },
      ...STATES.map((state) => ({ id: state, label: texts.states[state], tone: state, area: state === "sent", value: rate(state) })),
    ];
  }
  if (name === "channels") {
    return points.channels.map((channel, index) => ({
      id: channel,
      label: texts.channels[channel] ?? channel,
      tone: CHANNEL_TONES[index % CHANNEL_TONES.length],
      dash: DASHES[Math.floor(index / CHANNEL_TONES.length) % DASHES.length],
      area: true,
      stack: "channels",
      value: channelRate(channel),
    }));
  }
  if (name === "queue") {
    return [
      { id: "depth", label: texts.depth, tone: "queued", area: true, value: gauge("depth") },
      { id: "threads", label: texts.threads, tone: "cancelled", dash: "dashed", axis: 1, step: true, value: gauge("threads") },
      { id: "busy", label: texts.busy, tone: "sending", dash: "dotted", axis: 1, value: gauge("busy") },
    ];
  }
  return [
    ...["p50", "p95", "p99"].map((id, index) => ({ id, label: id, tone: ["sent", "queued", "suppressed"][index], dash: DASHES[index], value: percentile(id) })),
    { id: "success", label: texts.success, tone: "delivered", axis: 1, value: (point) => point.success_rate },
  ];
}

/** Lines across a chart at which something is wrong. */
function thresholds(name, points, colours, texts) {
  if (name === "queue") {
    const capacity = points.sorted.at(-1)?.capacity;
    return capacity ? { depth: [[FULL_SHARE * capacity, colours.unknown, texts.full]] } : {};
  }
  return name === "latency" ? { success: [[SUCCESS_AMBER, colours.unknown, `${SUCCESS_AMBER} %`], [SUCCESS_RED, colours.failed, `${SUCCESS_RED} %`]] } : {};
}

export class Chart {
  constructor(element, { texts, format }) {
    this.element = element;
    this.name = element.id;
    this.texts = texts;
    this.format = format;
    this.chart = echarts.init(element, null, { renderer: "canvas" });
    this.chart.group = GROUP;
    this.colours = palette();
    this.ids = [];
    this.isEmpty = true;
    [this.successFrom] = SUCCESS_FROM;
    this.chart.setOption(this.#frame());
  }

  /** The parts that stay: axes, grid, legend, tooltip. */
  #frame() {
    const { colours, name, format } = this;
    const size = textSize();
    const label = { color: colours["ink-soft"], fontSize: size };
    const value = (axis) => ({
      type: "value",
      min: axis.min ?? 0,
      max: axis.max,
      minInterval: axis.minInterval,
      position: axis.position,
      interval: axis.interval,
      alignTicks: axis.alignTicks,
      splitNumber: PARTS,
      splitLine: { show: axis.position !== "right", lineStyle: { color: colours.border } },
      axisLabel: { ...label, formatter: axis.formatter },
    });
    // What is small, or nothing, is not blown up to fill the axis.
    const upTo = (least) => ({ max: (found) => (found.max < least ? least : null) });
    const second = {
      queue: { ...upTo(PARTS), position: "right", alignTicks: true, formatter: format.number },
      latency: { position: "right", max: 100, ...this.#successAxis(), formatter: (share) => `${share} %` },
    }[name];
    const first = { ...upTo(name === "queue" || name === "latency" ? PARTS : PARTS / 2), alignTicks: name === "latency", formatter: name === "latency" ? format.milliseconds : format.number };
    return {
      animation: false,
      aria: { enabled: false }, // the page names each chart and has a table for it
      grid: { left: size / 2, right: size, top: size * 2.4, bottom: size / 2, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      legend: { top: 0, left: 0, type: "scroll", itemWidth: size * 1.6, itemHeight: size * 0.6, textStyle: { color: colours.ink, fontSize: size }, pageTextStyle: label, pageIconColor: colours.ink, pageIconInactiveColor: colours["ink-soft"] },
      tooltip: {
        trigger: "axis",
        renderMode: "richText", // drawn, not written as HTML with styles: the policy of the page allows none
        confine: true,
        backgroundColor: colours.surface,
        borderColor: colours.border,
        textStyle: { color: colours.ink, fontSize: size },
        formatter: (found) => this.#tip(found),
      },
      xAxis: { type: "time", axisLine: { lineStyle: { color: colours.border } }, axisLabel: { ...label, hideOverlap: true, formatter: format.axisTime }, splitLine: { show: false } },
      yAxis: second ? [value(first), value(second)] : [value(first)],
    };
  }

  #successAxis() { return { min: this.successFrom, interval: (100 - this.successFrom) / PARTS }; }

  #tip(found) {
    const rows = found.filter((entry) => entry.value[1] !== null).map((entry) => `${entry.seriesName}  ${this.#written(entry.seriesId, entry.value[1])}`);
    return [this.format.exact(found[0].value[0]), ...rows].join("\n");
  }

  #written(id, value) {
    if (id === "success") return this.format.percent(value);
    if (this.name === "latency") return this.format.milliseconds(value);
    return this.name === "queue" ? this.format.number(value) : this.texts.perSecond.replace("{number}", this.format.rate(value));
  }

  /** Put new data into the series that are there; a channel that is new gets one of its own. */
  show(points, { from, to }) {
    this.lines = lines(this.name, points, this.texts);
    const ids = this.lines.map((line) => line.id);
    const isNew = ids.join() !== this.ids.join();
    const lost = this.ids.filter((id) => !ids.includes(id)).map((id) => ({ id, data: [] }));
    const data = this.lines.map((line) => points.series(line.value));
    this.isEmpty = data.every((entries) => entries.every((entry) => ((entry.value ?? entry)[1] ?? null) === null));
    const marks = this.isEmpty ? {} : thresholds(this.name, points, this.colours, this.texts);
    const series = this.lines.map((line, index) => ({ id: line.id, data: data[index], ...(isNew ? this.#look(line) : {}), ...(marks[line.id] ? { markLine: this.#marks(marks[line.id]) } : {}) }));
    this.ids = isNew ? ids : this.ids;
    this.chart.setOption({
      xAxis: { min: from, max: to },
      series: [...series, ...lost],
      ...(isNew ? { legend: { data: this.lines.map((line) => line.label) } } : {}),
      ...(this.#widensSuccess(points) ? { yAxis: [{}, this.#successAxis()] } : {}),
    }, { lazyUpdate: true });
  }

  /** Let the axis of success begin where its lowest point is seen; return whether that is new. */
  #widensSuccess(points) {
    if (this.name !== "latency") return false;
    const least = Math.min(100, ...points.sorted.map((point) => point.success_rate ?? 100));
    const from = SUCCESS_FROM.find((share) => share <= least);
    const isNew = from !== this.successFrom;
    this.successFrom = from;
    return isNew;
  }

  #look(line) {
    const colour = this.colours[line.tone];
    return {
      type: "line",
      name: line.label,
      symbol: "none", // but for single points, which have one of their own
      connectNulls: false,
      color: colour,
      yAxisIndex: line.axis ?? 0,
      stack: line.stack,
      step: line.step ? "end" : false,
      lineStyle: { type: line.dash ?? "solid", width: 2 },
      areaStyle: line.area ? { opacity: 0.18 } : undefined,
      emphasis: { disabled: true },
    };
  }

  #marks(found) {
    return {
      silent: true,
      symbol: "none",
      animation: false,
      data: found.map(([at, colour, text], place) => ({ yAxis: at, lineStyle: { color: colour, type: "dashed", width: 1 }, label: { formatter: text, position: place ? "insideStartBottom" : "insideStartTop", color: colour, fontSize: textSize() } })),
    };
  }

  /** Paint in the colours and sizes of now; the data stays. */
  repaint(points, span) {
    this.colours = palette();
    this.ids = [];
    this.chart.setOption(this.#frame());
    this.show(points, span);
    this.chart.resize();
  }

  resize() { this.chart.resize(); }

  /** The columns and rows of the chart as a table, newest first. */
  rows(points, limit) {
    const columns = lines(this.name, points, this.texts);
    const rows = points.sorted.slice(-limit).reverse().map((point) => [this.format.exact(point.at * 1000), ...columns.map((line) => {
      const value = line.value(point);
      return value === null || value === undefined ? "–" : this.#written(line.id, value);
    })]);
    return { head: [this.texts.time, ...columns.map((line) => line.label)], rows };
  }

  dispose() { this.chart.dispose(); }
}

/** Let the pointer mark the same time in all charts. */
export const connect = () => echarts.connect(GROUP);
