/* The chat on your site: a button, and a frame that is made when it is first used. It sets no global, cookie or style of the page. */
(() => {
  "use strict";
  const settings = /*SETTINGS*/null;
  const script = document.currentScript;
  if (!settings || !script || document.querySelector("posthaste-chat")) return;
  const base = script.src.replace(/widget\.js(\?.*)?$/, "");
  const origin = new URL(base).origin;
  const given = script.dataset;
  const codeOf = (language) => (String(language).toLowerCase().startsWith("zh") ? "zh-hans" : "en");
  let code = codeOf(given.language || document.documentElement.lang || navigator.language);
  let words = settings.words[code];
  const used = `posthaste:${settings.key}:used`;
  const narrow = matchMedia("(max-width: 480px)");
  let identity = given.identityPayload ? { payload: given.identityPayload, signature: given.identitySignature } : null;
  let frame = null;
  let isReady = false;
  let isOpen = false;
  let unread = 0;
  let text = null; // what the page wants to have written, until the chat is there

  const host = document.createElement("posthaste-chat");
  const root = host.attachShadow({ mode: "closed" });
  const sheet = new CSSStyleSheet(); // a strict Content-Security-Policy forbids style elements
  sheet.replaceSync(`
    :host { all: initial; position: fixed; z-index: 2147483000; inset-block-end: 20px; inset-inline-${given.position === "left" ? "start" : "end"}: 20px; color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
    button { all: unset; box-sizing: border-box; position: relative; display: grid; place-items: center; inline-size: 56px; block-size: 56px; border-radius: 50%; background: ${settings.accent}; color: #fff; cursor: pointer; box-shadow: 0 4px 16px rgb(0 0 0 / 25%); transition: transform .15s; }
    button:hover { transform: scale(1.05); }
    button:focus-visible { outline: 3px solid #fff; outline-offset: -5px; box-shadow: 0 0 0 3px ${settings.accent}, 0 4px 16px rgb(0 0 0 / 25%); }
    svg { inline-size: 26px; block-size: 26px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    .badge { position: absolute; inset-block-start: -4px; inset-inline-end: -4px; min-inline-size: 22px; box-sizing: border-box; padding: 0 6px; border: 2px solid #fff; border-radius: 12px; background: #b91c1c; font-size: 12px; font-weight: 600; line-height: 18px; text-align: center; }
    .badge:empty { display: none; }
    .panel { position: fixed; inset-block-end: 88px; inset-inline-${given.position === "left" ? "start" : "end"}: 20px; inline-size: 384px; block-size: min(640px, calc(100vh - 112px)); border-radius: 12px; overflow: hidden; background: light-dark(#fff, #131a2c); box-shadow: 0 12px 40px rgb(0 0 0 / 30%); }
    .panel[hidden] { display: none; }
    iframe { display: block; inline-size: 100%; block-size: 100%; border: 0; }
    @media (max-width: 480px) { .panel { inset: 0; inline-size: 100%; block-size: 100%; border-radius: 0; } .open > button { display: none; } }
    @media (prefers-reduced-motion: reduce) { button { transition: none; } }
    @media print { :host { display: none; } }
  `);
  root.adoptedStyleSheets = [sheet];

  const box = document.createElement("div");
  const panel = document.createElement("div");
  const button = document.createElement("button");
  const badge = document.createElement("span");
  const OPEN = "M4 5h16v11H9l-5 4z";
  const CLOSE = "M6 6l12 12M18 6 6 18";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  badge.className = "badge";
  button.type = "button";
  button.append(svg, badge);
  panel.className = "panel";
  panel.hidden = true;
  panel.setAttribute("role", "dialog");
  box.append(panel, button);
  root.append(box);

  /** Keep the focus in the open chat: what is reached before or behind it leads back. */
  function guard() {
    const edge = document.createElement("div");
    edge.tabIndex = 0;
    edge.addEventListener("focus", () => frame.focus());
    return edge;
  }

  function say(type, values) {
    if (isReady) frame.contentWindow.postMessage({ ...values, type: `posthaste:${type}` }, origin);
  }

  function tell(type, detail) {
    document.dispatchEvent(new CustomEvent(`posthaste:${type}`, { detail }));
  }

  const address = () => `${base}chat/?embedded=1&lang=${code}`;

  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = words.frame;
    frame.allow = "clipboard-write";
    frame.src = address();
    panel.append(guard(), frame, guard());
  }

  function draw() {
    host.lang = code;
    panel.setAttribute("aria-label", words.title);
    if (frame) frame.title = words.frame;
    path.setAttribute("d", isOpen ? CLOSE : OPEN);
    badge.textContent = unread && !isOpen ? String(Math.min(unread, 99)) : "";
    button.setAttribute("aria-label", isOpen ? words.close : unread ? `${words.open} (${words.unread.replace("{n}", unread)})` : words.open);
    button.setAttribute("aria-expanded", String(isOpen));
    box.className = isOpen ? "open" : "";
    panel.hidden = !isOpen;
    panel.setAttribute("aria-modal", String(narrow.matches));
  }

  function open() {
    load();
    isOpen = true;
    try { localStorage.setItem(used, "1"); } catch { /* the badge shows after the next click */ }
    draw();
    frame.focus();
    say("shown");
    tell("opened");
  }

  /** Speak another language; an open chat is loaded anew in it, and goes on with what was written. */
  function speak(language, isLoaded = false) {
    if (!language || codeOf(language) === code) return;
    code = codeOf(language);
    words = settings.words[code];
    if (frame && !isLoaded) {
      isReady = false;
      frame.src = address();
    }
    draw();
  }

  function hand() {
    if (text === null || !isReady) return;
    say("text", { text });
    text = null;
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    draw();
    say("hidden");
    button.focus();
    tell("closed");
  }

  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== origin) return;
    const { type, count, language } = event.data ?? {};
    if (type === "posthaste:ready") {
      isReady = true;
      speak(language, true); // the visitor may have chosen another one there
      say("identity", { identity });
      say(isOpen ? "shown" : "hidden");
      hand();
    } else if (type === "posthaste:close") close();
    else if (type === "posthaste:unread" && Number.isInteger(count)) {
      unread = count;
      draw();
      tell("unread", { count });
    }
  });
  button.addEventListener("click", () => (isOpen ? close() : open()));
  root.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  document.addEventListener("posthaste:open", (event) => {
    speak(event.detail?.language);
    open();
    if (event.detail?.text) text = String(event.detail.text);
    hand();
  });
  document.addEventListener("posthaste:language", (event) => speak(event.detail?.language));
  document.addEventListener("posthaste:close", close);
  document.addEventListener("posthaste:identify", (event) => {
    identity = event.detail?.payload ? { payload: String(event.detail.payload), signature: String(event.detail.signature) } : null;
    say("identity", { identity });
  });

  const begin = () => {
    draw();
    document.body.append(host);
    tell("ready");
    let wasUsed = false;
    try { wasUsed = localStorage.getItem(used) === "1"; } catch { /* a browser that keeps nothing */ }
    // Who has written before sees how much is unread; everyone else loads nothing until the button is pressed.
    if (wasUsed) (window.requestIdleCallback ?? setTimeout)(load);
  };
  if (document.body) begin(); else document.addEventListener("DOMContentLoaded", begin);
})();
