// The board: what all parts share. Runs are asked for once, and whatever changes is told by the server as it happens.

const get = id => document.getElementById(id);

/** An element with these properties and contents. */
const element = (name, properties = {}, ...contents) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...contents);
  return made;
};

/** The token, which the address brings once; it stays with this tab, and out of the history. */
const token = (() => {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  try {
    if (given) sessionStorage.setItem('token', given);
    if (given) history.replaceState(null, '', location.pathname);
    return sessionStorage.getItem('token');
  } catch {
    return given;
  }
})();
const headers = token ? { Authorization: `Bearer ${token}` } : {};

const fail = sentence => {
  get('fault').textContent = sentence;
  get('fault').hidden = !sentence;
};

/** What the server answers, or an error with the sentence that it gave. */
const ask = async (path, options = {}) => {
  const answer = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const sentence = answer.status === 401
    ? '{{Changes need the token: open the address that the board printed when it started.}}' : told.error;
  throw Object.assign(new Error(sentence ?? answer.statusText), { status: answer.status });
};

/** All runs by their names; those that are chosen, each with the number of its look. */
const runs = new Map(), chosen = new Map();

const number = value => {
  if (typeof value === 'string') return value === 'NaN' ? NaN : value === 'inf' ? Infinity : value === '-inf' ? -Infinity : null;
  return value ?? null;
};

// Made once: each takes longer to make than to use a hundred times.
const LANGUAGE = document.documentElement.lang;
const NUMBERS = new Intl.NumberFormat(LANGUAGE);
const DATES = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: 'short', timeStyle: 'short' });
const ORDER = new Intl.Collator(undefined, { numeric: true }).compare;

const short = (value, digits = 4) => {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  const rounded = Number(value.toPrecision(digits));
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(Math.max(digits - 2, 0))
    : size < 1e4 ? String(rounded) : NUMBERS.format(rounded);
  return text.replaceAll('-', '−');
};

const isShare = name => /accuracy|f1|auc/.test(name);
const measured = (name, value) => value !== null && Number.isFinite(value) && isShare(name) ? `${(value * 100).toFixed(2)} %` : short(value);

/** The name of a measure as it is read. */
const WORDS = { train: '{{train}}', test: '{{test}}', validation: '{{validation}}', loss: '{{loss}}', accuracy: '{{accuracy}}' };
const said = name => ({ images_per_second: '{{images per second}}', learning_rate: '{{learning rate}}', gradient_norm: '{{norm of the gradient}}' }[name]
  ?? name.split('_').map(word => WORDS[word] ?? word).join(' '));

const duration = seconds => {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds), pad = n => String(n).padStart(2, '0');
  return whole < 60 ? `${short(seconds, 2)} s` : whole < 3600 ? `${Math.floor(whole / 60)}:${pad(whole % 60)}`
    : `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
};

/** The look of a chosen run: its colour, and dashes from the seventh on. */
const swatch = look => {
  const made = svg('svg', { class: `swatch c${look % 6}`, viewBox: '0 0 22 10', 'aria-hidden': 'true' });
  made.append(svg('path', { d: 'M1 5H21', class: Math.floor(look / 6) % 2 ? 'dashed' : '' }));
  return made;
};

/** A picture that the server drew, brought to life. */
const picture = text => {
  const made = document.importNode(new DOMParser().parseFromString(text, 'image/svg+xml').documentElement, true);
  return made;
};
const enliven = part => {
  for (const one of part.querySelectorAll('[data-least]')) one.style.minWidth = one.dataset.least;
  part.querySelectorAll('svg.figure [data-x]').forEach(tellValues);
};

/** Calls at most once in a while, however often it is asked. */
const calmly = (work, pause = 120) => {
  let soon = 0;
  return () => {
    clearTimeout(soon);
    soon = setTimeout(work, pause);
  };
};

/** What is to be done when runs changed; `names` are those that did. */
const watchers = [];
const changed = names => watchers.forEach(watcher => watcher(names));

const take = told => {
  const names = new Set(told.gone);
  for (const name of told.gone ?? []) {
    runs.delete(name);
    chosen.delete(name);
  }
  for (const run of told.runs) {
    runs.set(run.name, run);
    names.add(run.name);
  }
  if (names.size) changed(names);
};

const load = async () => {
  const told = await (await ask('/runs')).json();
  get('folder').textContent = told.folder;
  board.isOpen = told.open;
  const there = new Set(told.runs.map(run => run.name));
  take({ runs: told.runs, gone: [...runs.keys()].filter(name => !there.has(name)) });
  if (!runs.size) changed(new Set());
};

const board = { isOpen: true };

/** Listens to what changes, and comes back when the server does. */
const listen = async () => {
  for (;;) {
    try {
      const answer = await ask('/events');
      await load();
      get('link').textContent = '';
      fail('');
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const messages = (rest + value).split('\n\n');
        rest = messages.pop();
        for (const message of messages) {
          const data = message.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n');
          if (data) take(JSON.parse(data));
        }
      }
    } catch (error) {
      if (error.status) fail(error.message);
    }
    get('link').textContent = '{{The board does not answer; it is tried again.}}';
    await new Promise(resolve => setTimeout(resolve, 700));
  }
};

document.addEventListener('DOMContentLoaded', listen);
