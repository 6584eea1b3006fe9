// Numbers and times in the reader's language.

/** `units` are the words for milliseconds and seconds. */
export function formats(language, units) {
  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const oneDigit = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const twoDigits = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const minutes = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric" });
  const full = new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  let spanSeconds = 900;
  return {
    clock,
    /** Say how far the charts go back; it decides what a time of an axis has to say. */
    setSpan(seconds) { spanSeconds = seconds; },
    number: (value) => (Number.isInteger(value) || Math.abs(value) >= 100 ? whole : oneDigit).format(value),
    rate: (value) => (value >= 100 ? whole : oneDigit).format(value),
    percent: (value) => `${twoDigits.format(value)} %`,
    milliseconds: (value) => (value < 1000 ? `${whole.format(value)} ${units.ms}` : `${oneDigit.format(value / 1000)} ${units.s}`),
    axisTime: (at) => (spanSeconds > 86_400 ? day : minutes).format(at),
    exact: (at) => (spanSeconds > 3_600 ? full : clock).format(at),
  };
}
