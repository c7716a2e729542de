// Draws the picture of the test's camera: a harbour at sunset, in motion. Runs in the browser. `draw(canvas, part)`
// draws one moment; `part` goes from 0 to 1, and 1 looks like 0. Does not: use random numbers or the clock, so every
// run draws the same.

/* exported draw */
function draw(canvas, part) {
  const g = canvas.getContext("2d");
  const [width, height] = [1280, 720];
  const horizon = 430;
  const turn = part * 2 * Math.PI;

  const fade = (from, to, ...stops) => {
    const gradient = g.createLinearGradient(0, from, 0, to);
    for (const [at, colour] of stops) gradient.addColorStop(at, colour);
    return gradient;
  };

  function sky() {
    g.fillStyle = fade(0, horizon, [0, "#24406e"], [0.55, "#c97b84"], [1, "#ffd9a0"]);
    g.fillRect(0, 0, width, horizon);
    const glow = g.createRadialGradient(860, 360, 10, 860, 360, 420);
    glow.addColorStop(0, "#fff6d8");
    glow.addColorStop(0.12, "#ffe2a4cc");
    glow.addColorStop(1, "#ffd9a000");
    g.fillStyle = glow;
    g.fillRect(0, 0, width, horizon);
    g.fillStyle = "#fff4d0";
    g.beginPath();
    g.arc(860, 352, 48, 0, 7);
    g.fill();
  }

  function hills(level, size, scale, colour, offset) {
    g.fillStyle = colour;
    g.beginPath();
    g.moveTo(0, horizon);
    for (let x = 0; x <= width; x += 8) {
      const waves = Math.sin(x * scale + offset) + Math.sin(x * scale * 2.3 + offset * 2) / 2;
      g.lineTo(x, level - size * waves);
    }
    g.lineTo(width, horizon);
    g.fill();
  }

  function clouds() {
    g.fillStyle = "#ffffff2e";
    for (let cloud = 0; cloud < 4; cloud++) {
      const x = ((cloud * 420 + part * 420) % 1680) - 200;
      for (let puff = 0; puff < 5; puff++) {
        g.beginPath();
        g.ellipse(x + puff * 44, 90 + cloud * 38 + 12 * Math.sin(puff * 2), 64, 17, 0, 0, 7);
        g.fill();
      }
    }
  }

  function sea() {
    g.fillStyle = fade(horizon, height, [0, "#d99a86"], [0.3, "#5c5c86"], [1, "#1b2c4e"]);
    g.fillRect(0, horizon, width, height - horizon);
    for (let row = 0; row < 46; row++) {
      g.fillStyle = `rgba(255,226,170,${0.34 - 0.004 * row})`;
      for (let nth = row % 3; nth < 26; nth += 3) {
        const x = 860 + Math.sin(nth * 12.9 + row * 4.1) * (60 + row * 10) + 10 * Math.sin(turn + nth + row);
        const length = (6 + row * 1.1) * (1 + 0.5 * Math.sin(turn * 2 + nth * 3 + row));
        g.fillRect(x - length / 2, 434 + row * row * 0.138, length, 1.6 + row * 0.04);
      }
    }
  }

  function boat(x, y, size, offset) {
    const shape = (colour, ...points) => {
      g.fillStyle = colour;
      g.beginPath();
      g.moveTo(points[0], points[1]);
      for (let at = 2; at < points.length; at += 4) g.quadraticCurveTo(...points.slice(at, at + 4));
      g.fill();
    };
    g.save();
    g.translate(x, y + 5 * size * Math.sin(turn + offset));
    g.rotate(0.035 * Math.sin(turn + offset + 1));
    g.scale(size, size);
    g.fillStyle = "#10203aaa";
    g.beginPath();
    g.ellipse(0, 34, 110, 9, 0, 0, 7);
    g.fill();
    shape("#7a2f33", -96, 0, 0, 0, 104, 0, 84, 34, 58, 36, 0, 36, -60, 36, -88, 30, -96, 0);
    g.fillStyle = "#f4e5cd";
    g.fillRect(-94, 0, 196, 7);
    g.fillStyle = "#3a2a26";
    g.fillRect(-3, -190, 6, 190);
    shape("#fff1dc", 6, -184, 96, -100, 86, -16, 40, -16, 6, -16);
    shape("#e9b48f", -6, -170, -66, -90, -74, -16, -40, -16, -6, -16);
    g.restore();
  }

  function birds() {
    g.strokeStyle = "#2b2440";
    g.lineWidth = 3;
    for (let bird = 0; bird < 5; bird++) {
      const x = 200 + bird * 60 + 40 * Math.sin(turn);
      const y = 170 + 26 * Math.sin(bird * 2) + 8 * Math.sin(turn + bird);
      const wing = 8 * Math.sin(turn * 3 + bird);
      g.beginPath();
      g.moveTo(x - 16, y - wing);
      g.quadraticCurveTo(x - 6, y - 8, x, y);
      g.quadraticCurveTo(x + 6, y - 8, x + 16, y - wing);
      g.stroke();
    }
  }

  sky();
  hills(380, 34, 0.006, "#7d6184", 1);
  hills(404, 24, 0.009, "#54486f", 3);
  clouds();
  sea();
  boat(980, 486, 0.42, 2);
  boat(380, 560, 1, 0);
  birds();
}
