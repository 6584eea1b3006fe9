// The page of an intent model: its plots, and a reload when the training that is shown has ended. Each plot has a table below it.
import * as echarts from "../vendor/echarts/echarts.esm.min.mjs";

const PALETTE = ["ink", "ink-soft", "border", "surface", "accent", "sent", "cancelled", "failed"];
const plots = JSON.parse(document.getElementById("intent-plots")?.textContent ?? "{}");
const words = document.getElementById("intent-words")?.dataset ?? {};
const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: 1 });
const drawn = [];

/** The colours of the tokens as the page paints them now. */
function palette() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const colours = Object.fromEntries(PALETTE.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
  probe.remove();
  return colours;
}

function frame(colours) {
  return {
    animation: false,
    aria: { enabled: false }, // the page names each chart and has a table for it
    textStyle: { color: colours.ink, fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 8, right: 28, top: 32, bottom: 28, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    legend: { top: 0, left: 0, textStyle: { color: colours.ink }, itemHeight: 8 },
    tooltip: {
      renderMode: "richText", // drawn, not written as HTML with styles: the policy of the page allows none
      confine: true,
      backgroundColor: colours.surface,
      borderColor: colours.border,
      textStyle: { color: colours.ink },
    },
  };
}

function axis(colours, more) {
  return {
    axisLine: { lineStyle: { color: colours.border } },
    axisLabel: { color: colours["ink-soft"], hideOverlap: true, ...more.axisLabel },
    splitLine: { lineStyle: { color: colours.border } },
    nameTextStyle: { color: colours["ink-soft"] },
    nameLocation: "middle",
    ...more,
    ...(more.axisLabel ? { axisLabel: { color: colours["ink-soft"], hideOverlap: true, ...more.axisLabel } } : {}),
  };
}

const shares = (colours, more = {}) => axis(colours, { type: "value", min: 0, max: 1, axisLabel: { formatter: (value) => percent.format(value) }, ...more });
const named = (colours, names, width) => axis(colours, { type: "category", data: names, axisTick: { show: false }, axisLabel: { width: Math.round(width * 0.45), overflow: "truncate", interval: 0, hideOverlap: false } });

const CHARTS = {
  f1: (plot, colours, width) => ({
    yAxis: named(colours, plot.names, width),
    xAxis: shares(colours),
    series: [
      { type: "bar", name: words.own, data: plot.values, color: colours.accent, barMaxWidth: 12 },
      ...(plot.others.length ? [{ type: "bar", name: words.other, data: plot.others, color: colours.cancelled, barMaxWidth: 6 }] : []),
    ],
    tooltip: { trigger: "axis", valueFormatter: (value) => (value === null || value === undefined ? "–" : percent.format(value)) },
  }),
  confusions: (plot, colours, width) => ({
    yAxis: { ...named(colours, plot.names, width), inverse: true },
    xAxis: axis(colours, { type: "value", minInterval: 1 }),
    series: [{ type: "bar", name: words.texts, data: plot.values, color: colours.failed, barMaxWidth: 14 }],
    tooltip: { trigger: "axis" },
  }),
  calibration: (plot, colours) => ({
    xAxis: shares(colours, { name: words.confidence, nameGap: 24 }),
    yAxis: shares(colours),
    series: [
      { type: "line", name: words.ideal, data: [[0, 0], [1, 1]], color: colours["ink-soft"], symbol: "none", lineStyle: { type: "dashed", width: 1 }, silent: true },
      { type: "line", name: words.right, data: plot.points.map(([confidence, accuracy]) => [confidence, accuracy]), color: colours.accent, symbolSize: 8 },
    ],
    tooltip: { trigger: "item", valueFormatter: (value) => percent.format(value) },
  }),
  coverage: (plot, colours) => {
    const least = Math.min(...plot.points.map(([, accuracy]) => accuracy ?? 1));
    return {
      xAxis: axis(colours, { type: "value", min: 0, max: 100, name: words.surest, nameGap: 24, axisLabel: { formatter: (value) => percent.format(value / 100) } }),
      yAxis: shares(colours, { min: Math.max(0, Math.floor(least * 20 - 1) / 20) }),
      series: [{ type: "line", name: words.right, data: plot.points, color: colours.accent, symbolSize: 8, areaStyle: { opacity: 0.15 } }],
      tooltip: { trigger: "axis", valueFormatter: (value) => percent.format(value) },
    };
  },
};

function draw() {
  const colours = palette();
  for (const { chart, name } of drawn) {
    const { tooltip, ...option } = CHARTS[name](plots[name], colours, chart.getWidth());
    const base = frame(colours);
    chart.setOption({ ...base, ...option, tooltip: { ...base.tooltip, ...tooltip } }, true);
  }
}

for (const element of document.querySelectorAll("[data-chart]")) {
  if (plots[element.dataset.chart]) drawn.push({ name: element.dataset.chart, chart: echarts.init(element, null, { renderer: "canvas" }) });
}
if (drawn.length) {
  draw();
  addEventListener("resize", () => { drawn.forEach(({ chart }) => chart.resize()); draw(); });
  addEventListener("pagehide", (event) => { if (!event.persisted) drawn.forEach(({ chart }) => chart.dispose()); });
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

// The part with the progress refreshes itself; when it no longer does, the figures are there.
if (document.querySelector("[data-training]")) {
  const timer = setInterval(() => {
    if (!document.querySelector("[data-training]")) { clearInterval(timer); location.reload(); }
  }, 500);
}
