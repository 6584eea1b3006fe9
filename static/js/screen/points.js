// The points of the charts, by their begin. Live ones come in frames and are merged, those of the past come whole.

const DOT = 6;

export class Points {
  constructor() { this.replace([], 60); }

  /** Forget what was there, and take these. */
  replace(points, stepSeconds) {
    this.stepSeconds = stepSeconds;
    this.byBegin = new Map(points.map((point) => [point.at, point]));
  }

  /** Take in the newest points, which replace those of the same begin, and drop what is older than `backSeconds`. */
  merge(points, backSeconds) {
    for (const point of points) this.byBegin.set(point.at, point);
    const newest = Math.max(...this.byBegin.keys());
    for (const at of this.byBegin.keys()) if (at <= newest - backSeconds) this.byBegin.delete(at);
  }

  /** All points, oldest first. */
  get sorted() { return [...this.byBegin.values()].sort((a, b) => a.at - b.at); }

  /** The points as pairs of time (ms) and value, with a hole where a span is missing; one that no line reaches is a dot. */
  series(value) {
    const pairs = [];
    let expected = null;
    for (const point of this.sorted) {
      if (expected !== null && point.at > expected) pairs.push([expected * 1000, null]);
      pairs.push([point.at * 1000, value(point)]);
      expected = point.at + this.stepSeconds;
    }
    const isHole = (place) => (pairs[place]?.[1] ?? null) === null;
    return pairs.map((pair, place) => (!isHole(place) && isHole(place - 1) && isHole(place + 1) ? { value: pair, symbol: "circle", symbolSize: DOT } : pair));
  }

  /** Whether anything is known, and whether anything happened. */
  get isKnown() { return this.sorted.some((point) => point.events !== null || point.depth !== null); }

  get channels() { return [...new Set(this.sorted.flatMap((point) => Object.keys(point.channels ?? {})))].sort(); }
}

/** Events a second within a point; null where nothing was counted. */
export const rate = (event) => (point) => (point.events === null ? null : (point.events[event] ?? 0) / point.seconds);
export const channelRate = (channel) => (point) => (point.channels === null ? null : (point.channels[channel] ?? 0) / point.seconds);
export const percentile = (name) => (point) => point.latency_ms?.[name] ?? null;
export const gauge = (name) => (point) => point[name];
