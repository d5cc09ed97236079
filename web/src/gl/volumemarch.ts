// Draws the volume alone: the box marched through into a picture of any size, and that picture onto the canvas.
import {
  BackSide,
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  Camera,
  Data3DTexture,
  DataTexture,
  FloatType,
  GLSL3,
  LinearFilter,
  Mesh,
  NearestFilter,
  NoBlending,
  type PerspectiveCamera,
  RawShaderMaterial,
  RedFormat,
  RGBAFormat,
  Scene,
  Vector3,
  WebGLRenderer,
  WebGLRenderTarget,
} from "three";
import { WebGLMissing } from "./stage";
import { complete, type FullLook, reachOf, tableOf } from "./volumelook";
import { BOX_VERTEX, COPY_FRAGMENT, COPY_VERTEX, FRAGMENT } from "./volumeshader";
import { cornersOf, extentOf, middle, strideOf, type Triple } from "./volumespace";
import { boundsOf, type Ranges, rangesInPieces, shrunk, toShare, voxelTexture } from "./volumetexture";
import type { Clip, Look, Mode, Reduced, SceneVoxels, Slices } from "./volumetypes";

const MODE_NUMBER: Record<Mode, number> = { composite: 0, iso: 1, maximum: 2, slices: 3 };
const EMPTY: SceneVoxels = { data: new Uint8Array(1), channels: 1, height: 1, width: 1 };

const uniform = (value: unknown): { value: unknown } => ({ value });

/** Voxels of a texture that is sent for longer than a frame. */
const LARGE = 4_000_000;

interface Next {
  readonly voxels: SceneVoxels;
  readonly reduced: Reduced;
  readonly pieces: Generator<void, Ranges, void>;
}

/** A part of a picture: bands `from` to `to` of `of`. */
export interface Part {
  readonly index: number;
  readonly of: number;
}

export class Marcher {
  readonly renderer: WebGLRenderer;
  voxels: SceneVoxels = EMPTY;
  look: FullLook = complete({ mode: "composite", transfer: new Uint8Array(1024) });
  slices: Slices = {};
  clip: Clip | null = null;
  reduced: Reduced = null;
  /** Edges of the box in scene units. */
  extent: Triple = extentOf(EMPTY);
  /** What the texture holds: the voxels, or fewer. */
  #shown = EMPTY;
  #stale = true;
  /** What the texture will hold, as far as it is made. */
  #next: Next | undefined;
  #ranges: Ranges | undefined;
  #drawnLook: FullLook | undefined;
  #tableKey = "";
  #texture: Data3DTexture | undefined;
  #bounds: Data3DTexture | undefined;
  readonly #sheet = new DataTexture(new Uint8Array(1024), 256, 1, RGBAFormat);
  readonly #table = new DataTexture(new Float32Array(1024), 256, 1, RGBAFormat, FloatType);
  readonly #material: RawShaderMaterial;
  readonly #copy: RawShaderMaterial;
  readonly #box: Mesh;
  readonly #scene = new Scene();
  readonly #copyScene = new Scene();

  constructor(readonly canvas: HTMLCanvasElement) {
    try {
      this.renderer = new WebGLRenderer({
        canvas,
        alpha: true,
        antialias: false,
        depth: false,
        powerPreference: "high-performance",
      });
    } catch {
      throw new WebGLMissing(
        "The volume needs WebGL 2, which this browser does not offer: turn on hardware or software rendering in its settings.",
      );
    }
    const clear = (): void => this.renderer.setClearColor(0x000000, 0);
    clear();
    // three.js hears of a restored context first, and begins it with opaque black.
    canvas.addEventListener("webglcontextrestored", clear);
    this.renderer.autoClear = false;
    this.#material = new RawShaderMaterial({
      ...{ glslVersion: GLSL3, vertexShader: BOX_VERTEX, fragmentShader: FRAGMENT, side: BackSide },
      ...{ blending: NoBlending, depthTest: false, depthWrite: false },
      defines: { MODE: 0, BLOCKS: 0, SIGNED: 0, HALF: 0 },
      uniforms: uniformsOf(this.#sheet, this.#table),
    });
    this.#copy = new RawShaderMaterial({
      ...{ glslVersion: GLSL3, vertexShader: COPY_VERTEX, fragmentShader: COPY_FRAGMENT },
      ...{ blending: NoBlending, depthTest: false, depthWrite: false },
      uniforms: { picture: uniform(null) },
    });
    this.#box = new Mesh(new BoxGeometry(1, 1, 1), this.#material);
    this.#scene.add(this.#box);
    const corners = new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]);
    const triangle = new BufferGeometry().setAttribute("position", new BufferAttribute(corners, 3));
    const sheet = new Mesh(triangle, this.#copy);
    for (const mesh of [sheet, this.#box]) mesh.frustumCulled = false;
    this.#copyScene.add(sheet);
  }

  get gl(): WebGL2RenderingContext {
    return this.renderer.getContext() as WebGL2RenderingContext;
  }

  setVoxels(voxels: SceneVoxels): void {
    this.voxels = voxels;
    this.extent = extentOf(voxels);
    this.#forget();
  }

  /**
   * Get ready to draw for about so many milliseconds. `busy`: go on later; `sent`: a large texture is on its way to the
   * card, and whoever asks for something else now waits for it. To draw without asking is allowed, and may take long.
   */
  getReady(ms: number): "busy" | "sent" | "ready" {
    if (!this.#stale) return "ready";
    const end = performance.now() + ms;
    const { pieces, voxels } = this.#begin();
    let piece = pieces.next();
    while (!piece.done && performance.now() < end) piece = pieces.next();
    if (!piece.done) return "busy";
    this.#upload(piece.value);
    if (this.#texture) this.renderer.initTexture(this.#texture);
    return voxels.data.length > LARGE ? "sent" : "ready";
  }

  setLook(look: Look): void {
    const next = complete(look);
    // Which of the voxels is the strongest depends on what they are measured from.
    const fewer = this.reduced ?? this.#next?.reduced;
    if (fewer && (next.signed !== this.look.signed || next.zero !== this.look.zero)) this.#forget();
    this.look = next;
  }

  /** Samples of a fine picture of so many pixels, about. */
  cost(width: number, height: number): number {
    if (this.look.mode === "slices") return width * height;
    this.#prepare();
    return (0.5 * width * height * Math.max(...this.extent)) / this.#stride(1);
  }

  /** March into `target`, all of it or a band; `samples` is the share of the samples that a fine picture has. */
  draw(
    target: WebGLRenderTarget,
    camera: PerspectiveCamera,
    samples = 1,
    part: Part = { index: 0, of: 1 },
  ): void {
    this.#prepare();
    this.#tables(this.#stride(samples));
    const { uniforms } = this.#material;
    const cover = this.#cover();
    const inTexture = (at: Vector3): Vector3 => this.#inTexture(at, cover);
    const eye = uniforms.eye.value.copy(inTexture(camera.position.clone()));
    const corner = inTexture(new Vector3(-1, -1, 0).unproject(camera));
    const across = inTexture(new Vector3(1, -1, 0).unproject(camera)).sub(corner);
    const up = inTexture(new Vector3(-1, 1, 0).unproject(camera)).sub(corner);
    // Only directions count: the longer they are, the farther they are from what float32 cannot tell from zero.
    const scale = 1 / corner.distanceTo(eye);
    uniforms.corner.value.copy(corner).sub(eye).multiplyScalar(scale);
    uniforms.across.value.copy(across).multiplyScalar(scale / target.width);
    uniforms.up.value.copy(up).multiplyScalar(scale / target.height);
    const from = Math.floor((part.index * target.height) / part.of);
    const to = Math.floor(((part.index + 1) * target.height) / part.of);
    target.scissor.set(0, from, target.width, to - from);
    target.scissorTest = true;
    this.renderer.setRenderTarget(target);
    this.renderer.clear(true, false, false);
    this.renderer.render(this.#scene, camera);
  }

  /** Put a picture on the canvas. */
  show(picture: WebGLRenderTarget): void {
    this.#copy.uniforms.picture.value = picture.texture;
    this.renderer.setRenderTarget(null);
    this.renderer.clear(true, false, false);
    this.renderer.render(this.#copyScene, new Camera());
  }

  destroy(): void {
    for (const one of [this.#texture, this.#bounds, this.#sheet, this.#table, this.#material, this.#copy])
      one?.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  #inTexture({ x, y, z }: Vector3, cover: Triple): Vector3 {
    const [w, h, d] = this.extent;
    return new Vector3((x / w + 0.5) * cover[0], (0.5 - y / h) * cover[1], (0.5 - z / d) * cover[2]);
  }

  /** Share of the texture that is in the box: less than 1 where a side is no multiple of the reduction. */
  #cover(): Triple {
    const { width, height, channels } = this.#shown;
    const by = this.reduced ?? { columns: 1, rows: 1, channels: 1 };
    return [
      this.voxels.width / (width * by.columns),
      this.voxels.height / (height * by.rows),
      this.voxels.channels / (channels * by.channels),
    ];
  }

  #stride(samples: number): number {
    const { width, height, channels } = this.#shown;
    return strideOf(this.extent, [width, height, channels], this.look.rate * samples);
  }

  #prepare(): void {
    while (this.#stale) this.getReady(Number.POSITIVE_INFINITY);
    if (this.look !== this.#drawnLook) this.#dress();
    const { uniforms } = this.#material;
    const size: Triple = [this.voxels.width, this.voxels.height, this.voxels.channels];
    const cover = this.#cover();
    const [low, high] = cornersOf(this.clip, size).map((corner) => corner.map((x, axis) => x * cover[axis]));
    uniforms.low.value.fromArray(low);
    uniforms.high.value.fromArray(high);
    const { x, y, z } = this.slices;
    const places = [x, y, z].map((index, axis) => middle(index, size[axis]) * cover[axis]);
    uniforms.slices.value.fromArray(places);
    // Scene units of the whole texture, which may be longer than the box.
    uniforms.extent.value.fromArray(this.extent.map((edge, axis) => edge / cover[axis]));
    // A little larger: rasterised corners are snapped, and which pixels are inside is for the rays to say.
    this.#box.scale.fromArray(this.extent).multiplyScalar(1.002);
  }

  #forget(): void {
    this.#stale = true;
    this.#next = undefined;
  }

  #begin(): Next {
    if (this.#next) return this.#next;
    const zero = this.look.signed ? this.look.zero : null;
    const found = shrunk(this.voxels, this.gl.getParameter(this.gl.MAX_3D_TEXTURE_SIZE), zero);
    this.#next = { ...found, pieces: rangesInPieces(found.voxels) };
    return this.#next;
  }

  #upload(ranges: Ranges): void {
    const { voxels, reduced } = this.#begin();
    this.#next = undefined;
    this.#shown = voxels;
    this.reduced = reduced;
    this.#texture = voxelTexture(voxels, this.#texture);
    this.#ranges = ranges;
    const { gain, bias } = toShare(voxels);
    const { uniforms } = this.#material;
    uniforms.voxels.value = this.#texture;
    uniforms.size.value.set(voxels.width, voxels.height, voxels.channels);
    uniforms.gain.value = gain;
    uniforms.bias.value = bias;
    this.#stale = false;
    this.#drawnLook = undefined;
  }

  /** What depends on the look alone. */
  #dress(): void {
    const { look } = this;
    const { defines, uniforms } = this.#material;
    const wanted = {
      MODE: MODE_NUMBER[look.mode],
      BLOCKS: Number(look.sampling === "voxels"),
      SIGNED: Number(look.signed),
      HALF: Number(this.voxels.data instanceof Uint16Array),
    };
    if (JSON.stringify(defines) !== JSON.stringify(wanted)) {
      this.#material.defines = wanted;
      this.#material.needsUpdate = true;
    }
    uniforms.threshold.value = look.threshold;
    uniforms.iso.value = look.iso;
    uniforms.zero.value = look.zero;
    uniforms.reach.value = reachOf(look.zero);
    (this.#sheet.image.data as Uint8Array).set(look.transfer);
    this.#sheet.needsUpdate = true;
    if (this.#ranges) this.#setBounds(this.#ranges);
    this.#drawnLook = look;
    this.#tableKey = "";
  }

  #setBounds(ranges: Ranges): void {
    const { data, counts, block } = boundsOf(ranges, this.look);
    const [nx, ny, nz] = counts;
    const { image } = this.#bounds ?? {};
    if (!this.#bounds || image?.width !== nx || image.height !== ny || image.depth !== nz) {
      this.#bounds?.dispose();
      this.#bounds = new Data3DTexture(null, nx, ny, nz);
      this.#bounds.format = RedFormat;
      this.#bounds.minFilter = this.#bounds.magFilter = NearestFilter;
      this.#bounds.unpackAlignment = 1;
    }
    this.#bounds.image.data = data;
    this.#bounds.needsUpdate = true;
    this.#material.uniforms.bounds.value = this.#bounds;
    this.#material.uniforms.block.value = block;
  }

  #tables(stride: number): void {
    this.#material.uniforms.stride.value = stride;
    const length = this.look.sampling === "voxels" ? null : stride;
    const key = String(length);
    if (key === this.#tableKey) return;
    this.#tableKey = key;
    (this.#table.image.data as unknown as Float32Array).set(
      tableOf(this.look, Math.max(...this.extent), length),
    );
    this.#table.needsUpdate = true;
  }
}

export function pictureOf(width: number, height: number): WebGLRenderTarget {
  return new WebGLRenderTarget(Math.max(1, width), Math.max(1, height), {
    ...{ depthBuffer: false, generateMipmaps: false, minFilter: LinearFilter, magFilter: LinearFilter },
  });
}

function uniformsOf(sheet: DataTexture, table: DataTexture): RawShaderMaterial["uniforms"] {
  sheet.minFilter = sheet.magFilter = table.minFilter = table.magFilter = NearestFilter;
  const vectors = ["eye", "extent", "size", "low", "high", "slices", "corner", "across", "up"] as const;
  const numbers = ["stride", "gain", "bias", "threshold", "iso", "zero", "reach"] as const;
  return {
    ...Object.fromEntries(vectors.map((name) => [name, uniform(new Vector3())])),
    ...Object.fromEntries(numbers.map((name) => [name, uniform(0)])),
    ...{ voxels: uniform(null), bounds: uniform(null), block: uniform(1) },
    ...{ sheet: uniform(sheet), table: uniform(table) },
  };
}
