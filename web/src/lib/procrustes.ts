// One layout laid over another: the rotation, the reflection and (where wanted) the scale that bring them closest.

/** `scale · (p − source) · rotation + target`, for places (x, y, z). */
export interface Alignment {
  /** 3 × 3, row by row. */
  readonly rotation: Float64Array;
  readonly scale: number;
  readonly source: readonly number[];
  readonly target: readonly number[];
  /** What is left of the squared distances when both are centred and of size 1: 0 for one shape, near 1 for unrelated ones. */
  readonly distance: number;
}

export const IDENTITY: Alignment = {
  rotation: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
  scale: 1,
  source: [0, 0, 0],
  target: [0, 0, 0],
  distance: 0,
};

/** Fewer common points say nothing of how a layout is turned. */
const LEAST = 3;
const SWEEPS = 30;

/**
 * Lay `points` over `target` (both 3 numbers a point; z is 0 for flat ones).
 * `place[i]` is the number of point i in the target, -1 where it is not there.
 */
export function procrustes(
  points: ArrayLike<number>,
  target: ArrayLike<number>,
  place: ArrayLike<number>,
  scaled = true,
): Alignment {
  const source = centreOf(points, place, (i) => i);
  const goal = centreOf(target, place, (i) => place[i]);
  if (goal.n < LEAST) return IDENTITY;
  const product = new Float64Array(9);
  let [ours, theirs] = [0, 0];
  for (let i = 0; i < place.length; i++) {
    if (place[i] < 0) continue;
    for (let a = 0; a < 3; a++) {
      const p = points[3 * i + a] - source.at[a];
      const own = target[3 * place[i] + a] - goal.at[a];
      ours += p * p;
      theirs += own * own;
      for (let b = 0; b < 3; b++) product[3 * a + b] += p * (target[3 * place[i] + b] - goal.at[b]);
    }
  }
  if (!(ours > 0) || !(theirs > 0))
    return { ...IDENTITY, source: source.at, target: goal.at, distance: ours === theirs ? 0 : 1 };
  const { rotation, strength } = nearestRotation(product);
  const fitted = strength / Math.sqrt(ours * theirs);
  return {
    rotation,
    scale: scaled ? strength / ours : 1,
    source: source.at,
    target: goal.at,
    distance: Math.max(0, 1 - fitted * fitted),
  };
}

/** The points where the alignment puts them. */
export function aligned(
  points: ArrayLike<number>,
  { rotation, scale, source, target }: Alignment,
): Float32Array {
  const out = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const [x, y, z] = [points[i] - source[0], points[i + 1] - source[1], points[i + 2] - source[2]];
    for (let b = 0; b < 3; b++)
      out[i + b] = scale * (x * rotation[b] + y * rotation[3 + b] + z * rotation[6 + b]) + target[b];
  }
  return out;
}

function centreOf(
  points: ArrayLike<number>,
  place: ArrayLike<number>,
  numberOf: (i: number) => number,
): { readonly at: number[]; readonly n: number } {
  const at = [0, 0, 0];
  let n = 0;
  for (let i = 0; i < place.length; i++) {
    if (place[i] < 0) continue;
    n++;
    for (let a = 0; a < 3; a++) at[a] += points[3 * numberOf(i) + a];
  }
  return { at: at.map((sum) => sum / Math.max(1, n)), n };
}

/** The orthogonal matrix U·Vᵀ of H = U·S·Vᵀ, and the sum of the singular values S. */
export function nearestRotation(h: ArrayLike<number>): { rotation: Float64Array; strength: number } {
  const gram = new Float64Array(9);
  for (let a = 0; a < 3; a++)
    for (let b = 0; b < 3; b++) gram[3 * a + b] = h[a] * h[b] + h[3 + a] * h[3 + b] + h[6 + a] * h[6 + b];
  const { values, vectors } = eigenvectors(gram);
  const order = [0, 1, 2].sort((a, b) => values[b] - values[a]);
  const right = order.map((k) => [vectors[k], vectors[3 + k], vectors[6 + k]]);
  const left: number[][] = [];
  let strength = 0;
  const most = Math.sqrt(Math.max(0, values[order[0]]));
  for (const v of right) {
    const u = [0, 1, 2].map((a) => h[3 * a] * v[0] + h[3 * a + 1] * v[1] + h[3 * a + 2] * v[2]);
    const length = Math.hypot(...u);
    strength += length;
    left.push(length > 1e-9 * most ? u.map((one) => one / length) : orthogonalTo(left));
  }
  const rotation = new Float64Array(9);
  for (let a = 0; a < 3; a++)
    for (let b = 0; b < 3; b++) for (let k = 0; k < 3; k++) rotation[3 * a + b] += left[k][a] * right[k][b];
  return { rotation, strength };
}

/** A direction that the data leave open: of length 1, orthogonal to those there are. */
function orthogonalTo(known: readonly (readonly number[])[]): number[] {
  let best = [1, 0, 0];
  let longest = -1;
  for (let axis = 2; axis >= 0; axis--) {
    const one = [0, 1, 2].map((a) => (a === axis ? 1 : 0));
    for (const u of known) {
      const along = one[0] * u[0] + one[1] * u[1] + one[2] * u[2];
      for (let a = 0; a < 3; a++) one[a] -= along * u[a];
    }
    const length = Math.hypot(...one);
    if (length > longest + 1e-9) {
      longest = length;
      best = one.map((part) => part / length);
    }
  }
  return best;
}

/** Eigenvalues and eigenvectors (columns) of a symmetric 3 × 3 matrix, by Jacobi's rotations. */
function eigenvectors(matrix: Float64Array): { values: number[]; vectors: Float64Array } {
  const m = matrix.slice();
  const vectors = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    if (Math.abs(m[1]) + Math.abs(m[2]) + Math.abs(m[5]) === 0) break;
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      if (m[3 * p + q] !== 0) rotate(m, vectors, p, q);
    }
  }
  return { values: [m[0], m[4], m[8]], vectors };
}

/** One of Jacobi's rotations: makes the element (p, q) zero. */
function rotate(m: Float64Array, vectors: Float64Array, p: number, q: number): void {
  const theta = (m[4 * q] - m[4 * p]) / (2 * m[3 * p + q]);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < 3; k++) {
    const [a, b] = [m[3 * k + p], m[3 * k + q]];
    m[3 * k + p] = c * a - s * b;
    m[3 * k + q] = s * a + c * b;
  }
  for (let k = 0; k < 3; k++) {
    const [a, b] = [m[3 * p + k], m[3 * q + k]];
    m[3 * p + k] = c * a - s * b;
    m[3 * q + k] = s * a + c * b;
    const [x, y] = [vectors[3 * k + p], vectors[3 * k + q]];
    vectors[3 * k + p] = c * x - s * y;
    vectors[3 * k + q] = s * x + c * y;
  }
}
