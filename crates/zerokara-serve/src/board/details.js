
// ---- one run ----

const details = (() => {
  let name = null, before = '';

  const path = () => `/runs/${encodeURIComponent(name)}`;

  const settings = run => {
    const rows = [['{{status}}', run.status], ['{{model}}', run.model], ['{{data}}', run.data], ['{{seed}}', run.seed], ['{{steps}}', run.steps],
      ...Object.entries(run.settings).map(([key, value]) => [said(key), value])];
    get('settings').replaceChildren(...rows.filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([key, value]) => element('div', {}, element('dt', { textContent: key }), element('dd', { textContent: String(value) }))));
    get('error').textContent = run.error ?? '';
    get('error').hidden = !run.error;
  };

  const figure = (title, text) => {
    const made = element('figure', {}, element('h3', { textContent: title }), picture(text));
    enliven(made);
    return made;
  };

  const histograms = async () => {
    const asked = name;
    const told = await (await ask(`${path()}/histograms?kind=${get('kind').value}&width=320&height=210`)).json();
    if (asked !== name) return;
    get('strips').replaceChildren(...told.layers.filter(layer => layer.svg).map(layer => figure(layer.name, layer.svg)));
    get('strips-note').textContent = told.layers.length
      ? '{{The stronger the colour, the more values lie there. Gradients and activations are those of a few training samples.}}'
      : '{{No histograms were recorded yet.}}';
    return told.memory;
  };

  const fill = async () => {
    const run = runs.get(name), asked = name;
    if (!run) return close();
    const now = JSON.stringify([name, run]);
    if (now === before) return;
    before = now;
    get('details-title').textContent = name;
    get('report').parentElement.hidden = !(run.has.report && board.isOpen);
    get('report').href = `${path()}/report`;
    settings(run);
    try {
      const memory = await histograms();
      const query = new URLSearchParams({ metric: 'images_per_second', x: 'epoch', run: `0:${name}`, width: 480, height: 240 });
      const speed = await (await ask(`/chart?${query}`)).text();
      const { sections } = await (await ask(`${path()}/sections`)).json();
      if (asked !== name) return;
      get('speed').replaceChildren(figure('{{images per second}}', speed), ...(memory ? [figure('{{memory, MB}}', memory)] : []));
      const found = get('found');
      found.replaceChildren();
      for (const { id, heading, html } of sections) {
        // It is made by the server from numbers and escaped names; the page's policy lets nothing in it run.
        const part = element('div', { id: `found-${id}` });
        part.innerHTML = html;
        found.append(element('h3', { textContent: heading }), part);
      }
      enliven(found);
    } catch (error) {
      if (error.status) fail(error.message);
    }
  };

  const close = () => {
    name = null;
    before = '';
    get('details').hidden = true;
  };

  get('close').onclick = () => {
    const was = name;
    close();
    document.querySelector(`#table tr[data-run="${CSS.escape(was)}"] button`)?.focus();
  };
  get('kind').addEventListener('input', () => histograms().catch(error => fail(error.message)));
  watchers.push(names => { if (name !== null && names.has(name)) fill(); });

  return {
    open: chosen => {
      name = chosen;
      get('details').hidden = false;
      get('details-title').textContent = chosen;
      get('details').scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
      get('details-title').focus({ preventScroll: true });
      return fill();
    },
  };
})();
