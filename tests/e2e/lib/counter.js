// Reads the guest's frame counter out of a picture: 20 × 2 blocks of 16 × 16 pixels in the upper
// left corner (tests/guest/PROTOCOL.md). The function stands alone, so that a browser can be given it.

/** `luma(x, y)` tells a pixel's brightness; undefined where there is no whole counter. */
export function readCounter(luma) {
  const BLOCK = 16, COLUMNS = 20, BLACK = 80, WHITE = 175;
  const rows = [0, 0];
  for (let row = 0; row < 2; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      let sum = 0;
      for (let sample = 0; sample < 16; sample++) {
        const at = (index, step) => Math.floor(BLOCK * (index + 0.25 + (step * 0.5) / 3));
        sum += luma(at(column, sample % 4), at(row, sample >> 2));
      }
      const mean = sum / 16;
      if (mean > BLACK && mean < WHITE) return undefined;
      rows[row] = rows[row] * 2 + (mean >= WHITE ? 1 : 0);
    }
  }
  const [upper, lower] = rows;
  const counter = ((upper & 0xffff) * 0x10000) + (lower & 0xffff);
  let check = counter ^ (counter >>> 16);
  check ^= check >>> 8;
  check = ((check ^ (check >>> 4)) & 0xf) ^ 0b0101;
  return upper >>> 16 === 0b1011 && lower >>> 16 === check ? counter : undefined;
}

export const STRIP = { width: 320, height: 32 };
