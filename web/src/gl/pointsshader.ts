// How points are drawn: dots as point sprites, thumbnails as rectangles, density as one picture.
import { type DataTexture, type Texture, Vector2, Vector3 } from "three";

/** What all shaders are given. */
export const uniformsOf = () => ({
  scale: { value: 1 },
  size: { value: 1 },
  ratio: { value: 1 },
  smallest: { value: 4.5 },
  largest: { value: 64 },
  chosen: { value: -1 },
  sides: { value: new Vector2(1, 1) },
  viewport: { value: new Vector2(1, 1) },
  behind: { value: new Vector3(1, 1, 1) },
  accent: { value: new Vector3() },
  atlas: { value: null as Texture | null },
  full: { value: null as Texture | null },
  picture: { value: null as DataTexture | null },
});

export type Uniforms = ReturnType<typeof uniformsOf>;

const LOOKS = `
precision highp float;
uniform vec3 behind, accent;
vec3 over(vec3 colour, float fade) { return mix(colour, behind, fade); }`;

/** All points in one call. The number of a point is that of its vertex; its state lies in the alpha of its look. */
export const DOT_VERTEX = `${LOOKS}
uniform mat4 modelViewMatrix, projectionMatrix;
uniform float scale, size, ratio, smallest, largest, chosen;
in vec3 position;
in vec4 look;
out vec3 colour;
out float pixels;
void main() {
  float state = floor(look.a * 255.0 + 0.5);
  bool picked = float(gl_VertexID) == chosen;
  bool strong = state == 2.0 || picked;
  bool dim = state == 1.0 && !picked;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  float least = smallest * ratio;
  pixels = clamp(size * scale / gl_Position.w * 0.34, least, 11.0 * ratio);
  pixels *= (strong ? 1.5 : 1.0) * (picked ? 1.5 : 1.0);
  if (dim) pixels = min(3.5 * ratio, least);
  pixels = min(pixels, largest);
  gl_PointSize = pixels;
  gl_Position.z -= (picked ? 0.02 : strong ? 0.01 : 0.0) * gl_Position.w;
  colour = over(picked ? accent : look.rgb, picked ? 0.0 : state == 3.0 ? 0.7 : dim ? 0.72 : 0.0);
  if (state > 3.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // hidden: outside of what is drawn
}`;

/** Round dots with a soft edge. */
export const ROUND_FRAGMENT = `
precision highp float;
in vec3 colour;
in float pixels;
out vec4 result;
void main() {
  float alpha = clamp(0.5 * pixels * (1.0 - length(gl_PointCoord * 2.0 - 1.0)) + 0.35, 0.0, 1.0);
  if (alpha < 0.03) discard;
  result = vec4(colour, alpha);
}`;

/** Dots too small to have a shape. */
export const SMALL_FRAGMENT = `
precision highp float;
in vec3 colour;
out vec4 result;
void main() { result = vec4(colour, 1.0); }`;

/** Rectangles of the points that stand out or show their picture; where and how large was computed before. */
export const TILE_VERTEX = `${LOOKS}
uniform vec2 viewport;
in vec4 place;
in vec4 look;
in vec4 box;
in vec2 shape;
out vec2 at, extent, texel;
out vec3 ring;
out vec4 inner;
out float thumbnail, fade, pixels, level, grown, second;
void main() {
  pixels = shape.x;
  thumbnail = shape.y;
  second = box.x >= 16384.0 ? 1.0 : 0.0; // in the texture of pictures in full
  vec4 rect = box - vec4(16384.0 * second, 0.0, 0.0, 0.0);
  float state = floor(look.a * 255.0 + 0.5);
  vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1) * 2.0 - 1.0;
  float longest = max(max(rect.z, rect.w), 1.0);
  extent = mix(vec2(1.0), rect.zw / longest, thumbnail);
  at = corner * extent;
  gl_Position = place;
  gl_Position.xy += vec2(at.x, -at.y) * pixels / viewport * place.w;
  ring = state > 4.5 ? accent : look.rgb;
  fade = state == 3.0 ? 0.7 : 0.0;
  grown = pixels / longest;
  level = clamp(-log2(grown), 0.0, 2.0);
  // Half a texel of the level that is read stays inside the picture.
  inner = vec4(rect.xy, rect.xy + rect.zw) + 0.5 * exp2(level) * vec4(1.0, 1.0, -1.0, -1.0);
  texel = rect.xy + (corner * 0.5 + 0.5) * rect.zw;
}`;

export const TILE_FRAGMENT = `${LOOKS}
uniform sampler2D atlas, full;
uniform vec2 sides;
in vec2 at, extent, texel;
in vec3 ring;
in vec4 inner;
in float thumbnail, fade, pixels, level, grown, second;
out vec4 result;
void main() {
  float soft = 2.0 / pixels;
  float corner = mix(1.0, 0.26, thumbnail) * min(extent.x, extent.y);
  vec2 q = abs(at) - (extent - corner);
  float edge = length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - corner;
  float alpha = 1.0 - smoothstep(-soft, 0.0, edge);
  if (alpha < 0.03) discard;
  float width = mix(2.0, clamp(pixels * 0.05, 1.3, 4.0) / pixels * 2.0, thumbnail);
  float rim = smoothstep(-width - soft, -width, edge);
  vec2 from = grown > 1.5 ? floor(texel) + 0.5 : texel; // pixels of a grown picture stay square
  from = clamp(from, inner.xy, inner.zw);
  vec3 picture =
    second > 0.5 ? textureLod(full, from / sides.y, level).rgb : textureLod(atlas, from / sides.x, level).rgb;
  vec3 colour = mix(ring, mix(picture, ring, rim), thumbnail);
  result = vec4(over(colour, fade), alpha);
}`;

/** A picture of the screen's size behind everything. */
export const PLANE_VERTEX = `
precision highp float;
out vec2 at;
void main() {
  at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
  gl_Position = vec4(at * 2.0 - 1.0, 1.0, 1.0);
}`;

export const PLANE_FRAGMENT = `
precision highp float;
uniform sampler2D picture;
in vec2 at;
out vec4 result;
void main() { result = vec4(texture(picture, vec2(at.x, 1.0 - at.y)).rgb, 1.0); }`;
