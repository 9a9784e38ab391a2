// Optimizers in the valley f = x²/20 + y²: the book's six formulas, one step after another.
{
  const EPS = 1e-8;
  /** The next place along one axis; `s` is what the optimizer remembers, `t` the number of the step. */
  const steps = {
    SGD: (p, g, s, rate) => p - rate * g,
    Momentum: (p, g, s, rate) => { s.v = 0.9 * (s.v ?? 0) + g; return p - rate * s.v; },
    Nesterov: (p, g, s, rate) => { s.v = 0.9 * (s.v ?? 0) + g; return p - rate * (g + 0.9 * s.v); },
    AdaGrad: (p, g, s, rate) => { s.h = (s.h ?? 0) + g * g; return p - rate * g / (Math.sqrt(s.h) + 1e-10); },
    RMSProp: (p, g, s, rate) => { s.h = 0.99 * (s.h ?? 0) + 0.01 * g * g; return p - rate * g / (Math.sqrt(s.h) + EPS); },
    Adam: (p, g, s, rate, t) => {
      s.m = 0.9 * (s.m ?? 0) + 0.1 * g;
      s.v = 0.999 * (s.v ?? 0) + 0.001 * g * g;
      return p - rate / (1 - 0.9 ** t) * s.m / (Math.sqrt(s.v / (1 - 0.999 ** t)) + EPS);
    },
  };
  play.kinds.valley = {
    compute({ optimizer, rate, steps: count }) {
      let [x, y] = [-7, 2];
      const kept = [{}, {}], path = [[x, y]];
      for (let t = 1; t <= count; t++) {
        const gradient = [x / 10, 2 * y];
        x = steps[optimizer](x, gradient[0], kept[0], rate, t);
        y = steps[optimizer](y, gradient[1], kept[1], rate, t);
        path.push([x, y]);
      }
      return path;
    },
    draw(stage, path) {
      const plane = play.plane(stage, { width: 480, height: 320, x: [-10, 10], y: [-5, 5], names: ['x', 'y'] });
      for (const level of [0.25, 1, 2, 4, 7, 11, 16, 22]) {
        const ring = Array.from({ length: 97 }, (_, i) => i / 96 * 2 * Math.PI);
        plane.line(ring.map(a => [Math.sqrt(20 * level) * Math.cos(a), Math.sqrt(level) * Math.sin(a)]), 'thin grey');
      }
      plane.line(path, 'c0');
      path.forEach((p, i) => plane.dot(p, i ? 'c0' : 'c1', i ? 2.6 : 4));
      const [x, y] = path[path.length - 1];
      plane.picture.append(play.text(466, 18, `f = ${play.number(x * x / 20 + y * y, 3)}`, { class: 'strong', 'text-anchor': 'end' }));
    },
  };
}
