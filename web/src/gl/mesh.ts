// Meshes and clouds of points, many small scenes drawn by one WebGL context: browsers give a page few of them.
import {
  BufferAttribute,
  BufferGeometry,
  type Camera,
  Color,
  DirectionalLight,
  DoubleSide,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshLambertMaterial,
  Points,
  PointsMaterial,
  Scene,
  WebGLRenderer,
  WireframeGeometry,
} from "three";
import { context2d } from "../lib/dom";
import { type Box, type MeshData, placeOfBox } from "../lib/meshdata";
import { WebGLMissing } from "./stage";

export const DRAWINGS = ["surface", "wireframe", "points"] as const;
export type Drawing = (typeof DRAWINGS)[number];

export interface MeshLook {
  readonly drawing: Drawing;
  /** Pixels of a point. */
  readonly size: number;
  /** Colour of what has none of its own. */
  readonly colour: string;
  readonly background: string;
}

/** Draws scenes into canvases of others, one at a time. */
export class MeshPainter {
  readonly #renderer: WebGLRenderer;

  /** `restored` is called when all has to be drawn again. */
  constructor(restored: () => void) {
    try {
      this.#renderer = new WebGLRenderer({ antialias: true });
    } catch {
      throw new WebGLMissing(
        "Meshes need WebGL 2, which this browser does not offer: turn on hardware or software rendering in its settings.",
      );
    }
    this.#renderer.domElement.addEventListener("webglcontextrestored", restored);
  }

  paint(canvas: HTMLCanvasElement, scene: Scene, camera: Camera, background: string): void {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.#renderer.setPixelRatio(ratio);
    this.#renderer.setSize(width, height, false);
    this.#renderer.setClearColor(new Color(background), 1);
    this.#renderer.render(scene, camera);
    const drawn = this.#renderer.domElement;
    canvas.width = drawn.width;
    canvas.height = drawn.height;
    context2d(canvas).drawImage(drawn, 0, 0);
  }

  destroy(): void {
    this.#renderer.dispose();
    this.#renderer.forceContextLoss();
  }
}

/** The scene of one card. */
export class MeshScene {
  readonly scene = new Scene();
  readonly #group = new Group();
  readonly #light = new DirectionalLight(0xffffff, 1.6);
  #data: MeshData | undefined;
  #look: MeshLook | undefined;

  constructor() {
    this.scene.add(this.#group, new HemisphereLight(0xffffff, 0x8a8a92, 1.7), this.#light);
  }

  /** Show a mesh so that `box` fills the view. */
  show(data: MeshData, look: MeshLook, box: Box | undefined): void {
    if (data !== this.#data || !sameLook(look, this.#look)) this.#build(data, look);
    const { centre, scale } = placeOfBox(box);
    this.#group.scale.setScalar(scale);
    this.#group.position.set(-centre[0] * scale, -centre[1] * scale, -centre[2] * scale);
  }

  /** The light comes over the shoulder, wherever one stands. */
  lightFrom(camera: Camera): void {
    this.#light.position.copy(camera.position);
  }

  destroy(): void {
    for (const child of this.#group.children)
      if (child instanceof Mesh || child instanceof Points || child instanceof LineSegments) {
        child.geometry.dispose();
        child.material.dispose();
      }
    this.#group.clear();
  }

  #build(data: MeshData, look: MeshLook): void {
    this.destroy();
    this.#data = data;
    this.#look = look;
    const child = drawn(data, look);
    child.frustumCulled = false;
    this.#group.add(child);
  }
}

function sameLook(a: MeshLook, b: MeshLook | undefined): boolean {
  return a.drawing === b?.drawing && a.size === b.size && a.colour === b.colour;
}

function drawn(data: MeshData, look: MeshLook): Mesh | Points | LineSegments {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(data.positions, 3));
  if (data.colours) geometry.setAttribute("color", new BufferAttribute(data.colours, 3));
  const tint = data.colours
    ? ({ vertexColors: true, color: new Color("#ffffff") } as const)
    : ({ color: new Color(look.colour) } as const);
  if (look.drawing === "points" || !data.triangles.length) {
    geometry.setIndex(new BufferAttribute(data.points, 1));
    return new Points(geometry, new PointsMaterial({ ...tint, size: look.size, sizeAttenuation: false }));
  }
  geometry.setIndex(new BufferAttribute(data.triangles, 1));
  if (look.drawing === "wireframe") return wires(geometry, look, data.colours !== undefined);
  return new Mesh(geometry, new MeshLambertMaterial({ ...tint, side: DoubleSide, flatShading: true }));
}

/** Every edge once; of a coloured mesh in its colours. */
function wires(geometry: BufferGeometry, look: MeshLook, coloured: boolean): Mesh | LineSegments {
  if (coloured)
    return new Mesh(
      geometry,
      new MeshLambertMaterial({ vertexColors: true, wireframe: true, side: DoubleSide }),
    );
  const lines = new WireframeGeometry(geometry);
  geometry.dispose();
  return new LineSegments(lines, new LineBasicMaterial({ color: new Color(look.colour) }));
}
