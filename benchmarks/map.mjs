// How long the map takes to be drawn and asked, milliseconds of CPU: node benchmarks/map.mjs
import { Points, colours, paint } from "../avssl/explore/page/points.js";

const WINDOWS = [[1240, 576, 1], [780, 1080, 2]];  // a desktop, a phone with two pixels to one
const KINDS = 50;

function measured(name, repeats, action) {
  const costs = [];
  for (let k = 0; k <= repeats; k++) {
    const before = process.cpuUsage();
    action();
    const { user, system } = process.cpuUsage(before);
    if (k) costs.push((user + system) / 1000);  // the first is not compiled yet
  }
  console.log(name.padEnd(30), costs.sort((a, b) => a - b)[repeats >> 1].toFixed(2));
}

for (const count of [10_000, 100_000, 1_000_000]) {
  const places = new Float32Array(2 * count).map((_, k) => Math.cos(1.7 * (k >> 1) % KINDS + k % 2) + 0.5 * (Math.random() - Math.random()));
  const groups = new Int32Array(count).map((_, k) => k % KINDS);
  let points;
  console.log(`${count.toLocaleString("en")} points`);
  measured("sorted into cells", 5, () => { points = new Points(places); });
  for (const [width, height, radius] of WINDOWS) {
    const picture = { width, height, data: new Uint8ClampedArray(4 * width * height) };
    measured(`drawn, ${width}×${height}`, 9, () => paint(picture, [247, 248, 250], points, { scale: height / 3.4, centre: [0, 0] }, colours(KINDS), groups, null, radius));
  }
  measured("100 times below the pointer", 5, () => { for (let k = 0; k < 100; k++) points.nearest(2 * Math.random() - 1, 2 * Math.random() - 1, 0.07); });
  const line = Array.from({ length: 120 }, (_, k) => [Math.cos(k / 19), Math.sin(k / 19)]);
  measured("within a drawn line", 5, () => points.within(line));
}
