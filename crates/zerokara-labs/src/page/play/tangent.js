// Numerical differentiation of 0.01x² + 0.1x: forwards or from both sides, in 64 or 32 bits.
play.kinds.tangent = {
  compute({ x, h, difference, bits }) {
    const round = bits === '32' ? Math.fround : v => v;
    const f = v => { v = round(v); return round(round(round(0.01) * round(v * v)) + round(round(0.1) * v)); };
    x = round(x), h = round(h);
    const [from, over] = difference === 'central' ? [f(round(x - h)), round(2 * h)] : [f(x), h];
    const slope = round(round(f(round(x + h)) - from) / over);
    const exact = 0.02 * x + 0.1;
    return { slope, exact, error: Math.abs(slope - exact) };
  },
  draw(stage, { slope, exact, error }, { x }, data) {
    const f = v => 0.01 * v * v + 0.1 * v;
    const plane = play.plane(stage, { x: [0, 20], y: [-1, 6], names: ['x', 'f(x)'] });
    plane.line(Array.from({ length: 81 }, (_, i) => [i / 4, f(i / 4)]), 'c0');
    plane.line([[0, f(x) - slope * x], [20, f(x) + slope * (20 - x)]], 'c1');
    plane.dot([x, f(x)], 'c1', 5);
    const told = [[data.words.slope, slope], [data.words.exact, exact], [data.words.error, error]];
    told.forEach(([words, number], i) => {
      plane.picture.append(play.text(58, 50 + 17 * i, words), play.text(190, 50 + 17 * i, play.number(number, 12), { class: 'strong' }));
    });
  },
};
