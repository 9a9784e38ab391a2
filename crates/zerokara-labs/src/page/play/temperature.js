// Softmax of the scores divided by a temperature: hot is even, cold takes the largest alone.
play.kinds.temperature = {
  compute({ temperature }, { scores }) {
    const largest = Math.max(...scores), powers = scores.map(a => Math.exp((a - largest) / temperature));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map(p => p / sum);
  },
  draw(stage, shares, values, { scores, words }) {
    const plane = play.plane(stage, { width: 360, height: 280, x: [-0.6, scores.length - 0.4], y: [0, 1], names: [words.class, words.share] });
    shares.forEach((share, i) => {
      const [x, y] = [plane.sx(i - 0.35), plane.sy(share)];
      plane.inside.append(svg('rect', { class: 'bar c0', x, y, width: plane.sx(0.7) - plane.sx(0), height: plane.sy(0) - y }));
      plane.picture.append(play.text(plane.sx(i), y - 6, play.number(share, 3), { class: 'small strong', 'text-anchor': 'middle' }));
    });
  },
};
