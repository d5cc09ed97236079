// The shaders of the volume. All of it happens in texture coordinates: x to the right, y down, z away, 0 to 1.

/** Draws the far faces of the box. */
export const BOX_VERTEX = `
uniform mat4 modelViewMatrix, projectionMatrix;
in vec3 position;
void main() { gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); }`;

export const COPY_VERTEX = `
in vec3 position;
out vec2 place;
void main() {
  place = position.xy * 0.5 + 0.5;
  gl_Position = vec4(position.xy, 0.0, 1.0);
}`;

export const COPY_FRAGMENT = `
precision highp float;
uniform sampler2D picture;
in vec2 place;
out vec4 result;
void main() { result = texture(picture, place); }`;

const HEAD = `
precision highp float;
precision highp int;
precision highp sampler3D;
uniform sampler3D voxels, bounds;
/** sheet: plain RGB of 256 values; table: what marching adds a sample, or colour and extinction of a length. */
uniform sampler2D sheet, table;
uniform vec3 eye, extent, size, low, high, slices;
/** The ray through a pixel is corner + x · across + y · up: what is interpolated over faces is only as exact as their corners. */
uniform vec3 corner, across, up;
/** Voxels of a block of the bounds; stride: scene units from sample to sample; from sample to value: gain, bias. */
uniform float block, stride, gain, bias, threshold, iso, zero, reach;
out vec4 result;

#if HALF
float value(float raw) { return clamp(raw * gain + bias, 0.0, 1.0); }
#else
float value(float raw) { return raw; }
#endif
float valueAt(vec3 p) { return value(texture(voxels, p).r); }
int level(float v) { return int(v * 255.0 + 0.5); }
vec3 colourOf(float v) { return texelFetch(sheet, ivec2(level(v), 0), 0).rgb; }
#if SIGNED
float strength(float v) { return abs(v - zero) * reach; }
#else
float strength(float v) { return v; }
#endif
`;

/** Whether a ray has to go on, and whether nothing of a block can be seen. */
const RULES = `
#if MODE == 0
#define OPEN total.a <= 0.99
#define HIDDEN(bound) (bound == 0.0)
#elif MODE == 1
#define OPEN hit < 0.0
#define HIDDEN(bound) (bound == 0.0)
#else
#define OPEN strongest < 1.0
#define HIDDEN(bound) (bound <= strongest)
#endif
`;

const SURFACE = `
vec3 lit(vec3 ray, vec3 normal, float v) {
  vec3 towards = normalize(ray * extent);
  float square = dot(normal, normal);
  float facing = square > 0.0 ? abs(dot(normal, towards)) * inversesqrt(square) : 1.0;
#if SIGNED
  v = clamp(zero + sign(v - zero) * iso / reach, 0.0, 1.0);
#else
  v = iso;
#endif
  return colourOf(v) * (0.3 + 0.7 * facing) + 0.18 * pow(facing, 24.0);
}
vec3 gradient(vec3 p) {
  vec3 d = 1.0 / size;
  return vec3(
    valueAt(p + vec3(d.x, 0, 0)) - valueAt(p - vec3(d.x, 0, 0)),
    valueAt(p + vec3(0, d.y, 0)) - valueAt(p - vec3(0, d.y, 0)),
    valueAt(p + vec3(0, 0, d.z)) - valueAt(p - vec3(0, 0, d.z))) / (d * extent);
}
`;

/**
 * Equidistant samples; blocks in which nothing is to be seen are left out without moving the samples behind them. Plain
 * loops without ways out in the middle, and no globals: on emulated graphics that is the half of the time.
 */
const SMOOTH = `
  float pace = stride / length(ray * extent), first = near + 0.5 * pace, hit = -1.0;
  int count = int(ceil((far - first) / pace)), i = 0;
  vec3 grid = size / block, ahead = step(0.0, ray), forward = ray * pace;
  ivec3 last = ivec3(ceil(grid)) - 1;
  for (int k = 0; k < 4096 && i < count && OPEN; k++) {
    ivec3 cell = clamp(ivec3((eye + ray * (first + float(i) * pace)) * grid), ivec3(0), last);
    vec3 leave = ((vec3(cell) + ahead) / grid - eye) * inverse;
    int stop = max(i + 1, int(min(float(count), ceil((min(min(leave.x, leave.y), leave.z) - first) / pace))));
    i = HIDDEN(texelFetch(bounds, cell, 0).r) ? stop : i;
    vec3 p = eye + ray * (first + float(i) * pace);
    for (; i < stop && OPEN; i++) {
      float v = valueAt(p);
#if MODE == 0
      total += (1.0 - total.a) * texelFetch(table, ivec2(level(v), 0), 0);
#elif MODE == 1
      hit = strength(v) < iso ? -1.0 : first + float(i) * pace;
#else
      float s = strength(v);
      strongestValue = s > strongest ? v : strongestValue;
      strongest = max(s, strongest);
#endif
      p += forward;
    }
  }
#if MODE == 1
  if (hit >= 0.0) {
    float before = max(near, hit - pace);
    bool inside = hit - pace < near;
    for (int n = 0; n < 10; n++) {
      float middle = 0.5 * (before + hit);
      bool reached = inside || strength(valueAt(eye + ray * middle)) >= iso;
      before = reached ? before : middle;
      hit = reached && !inside ? middle : hit;
    }
    vec3 p = eye + ray * hit;
    total = vec4(lit(ray, inside ? entry(inverse) : gradient(p), valueAt(p)), 1.0);
  }
#endif
`;

/** From face to face of the voxels: none is missed, each counts with the length of the ray in it. */
const STEPPED = `
  vec3 ahead = step(0.0, ray), origin = eye * size, along = ray * size, faces = 1.0 / along;
  ivec3 forward = ivec3(sign(ray)), least = ivec3(low * size + 0.5), most = ivec3(high * size + 0.5) - 1;
  ivec3 cell = clamp(ivec3(floor(origin + along * near)), least, most);
  int edge = int(block);
  float t = near, unit = length(ray * extent), hit = -1.0;
  vec3 normal = entry(inverse);
  bool inside = true;
  for (int k = 0; k < 8192 && inside && OPEN; k++) {
    ivec3 from = cell / edge * edge;
    bool skip = HIDDEN(texelFetch(bounds, cell / edge, 0).r);
    vec3 leave = ((skip ? vec3(from) + ahead * block : vec3(cell) + ahead) - origin) * faces;
    float next = min(min(leave.x, leave.y), leave.z);
    float v = value(texelFetch(voxels, cell, 0).r);
#if MODE == 0
    vec4 c = texelFetch(table, ivec2(level(v), 0), 0);
    float alpha = skip ? 0.0 : 1.0 - exp(-c.a * (min(next, far) - t) * unit);
    total += (1.0 - total.a) * alpha * vec4(c.rgb, 1.0);
#elif MODE == 1
    if (!skip && strength(v) >= iso) {
      hit = t;
      total = vec4(lit(ray, normal, v), 1.0);
    }
#else
    float s = skip ? -1.0 : strength(v);
    strongestValue = s > strongest ? v : strongestValue;
    strongest = max(s, strongest);
#endif
    ivec3 axis = leave.x <= leave.y && leave.x <= leave.z ? ivec3(1, 0, 0) : leave.y <= leave.z ? ivec3(0, 1, 0) : ivec3(0, 0, 1);
    // Past a block only the axis of the face that is crossed is certain; on the others one stays in the block.
    ivec3 within = clamp(ivec3(floor(origin + along * next)), from, from + edge - 1);
    ivec3 over = from + (forward + 1) / 2 * edge - (1 - forward) / 2;
    cell = skip ? axis * over + (1 - axis) * within : cell + axis * forward;
    inside = next < far && !any(lessThan(cell, least)) && !any(greaterThan(cell, most));
    t = max(t, next);
    normal = vec3(axis);
  }
`;

const BEGIN = `
void main() {
  vec3 ray = corner + gl_FragCoord.x * across + gl_FragCoord.y * up;
  ray += vec3(lessThan(abs(ray), vec3(1e-7))) * 1e-7;
  vec3 inverse = 1.0 / ray;
  vec3 a = (low - eye) * inverse, b = (high - eye) * inverse;
  vec3 enter = min(a, b), leave = max(a, b);
  float near = max(max(max(enter.x, enter.y), enter.z), 0.0), far = min(min(leave.x, leave.y), leave.z);
  if (near >= far) discard;
  // Slice planes are opaque: of those that the ray meets, the nearest ends it.
  float plane = -1.0;
  vec3 planes = (slices - eye) * inverse;
  for (int n = 0; n < 3; n++)
    if (slices[n] >= 0.0 && planes[n] >= near && planes[n] <= far) far = plane = planes[n];
  vec4 total = vec4(0.0);
  float strongest = threshold, strongestValue = 0.0;
`;

const END = `
#if MODE == 2
  if (strongest > threshold) total = vec4(colourOf(strongestValue), 1.0);
#endif
  if (plane >= 0.0 && total.a < 1.0) {
    vec3 p = eye + ray * plane;
#if BLOCKS
    float v = value(texelFetch(voxels, clamp(ivec3(p * size), ivec3(0), ivec3(size) - 1), 0).r);
#else
    float v = valueAt(p);
#endif
    total += (1.0 - total.a) * vec4(colourOf(v), 1.0);
  }
  if (total.a == 0.0) discard;
  result = total;
}
`;

const ENTRY = `
/** Normal of the face through which the ray enters. */
vec3 entry(vec3 inverse) {
  vec3 enter = min((low - eye) * inverse, (high - eye) * inverse);
  return enter.x >= enter.y && enter.x >= enter.z ? vec3(1, 0, 0) : enter.y >= enter.z ? vec3(0, 1, 0) : vec3(0, 0, 1);
}
`;

const march = ["#if MODE != 3", "#if BLOCKS", STEPPED, "#else", SMOOTH, "#endif", "#endif"];

/** For `MODE` (0 composite, 1 iso, 2 maximum, 3 slices), `BLOCKS` (voxels are blocks), `SIGNED` and `HALF` (float16). */
export const FRAGMENT = [HEAD, ENTRY, RULES, SURFACE, BEGIN, ...march, END].join("\n");
