// The rows of the list of runs: pinned runs, then a tree by the folders in the names.

interface Place {
  readonly label: string;
  readonly depth: number;
  /** The place among the rows of the same folder, from 1, and how many those are. */
  readonly position: number;
  readonly siblings: number;
}

export interface RunRow extends Place {
  readonly kind: "run";
  readonly name: string;
  readonly pinned: boolean;
}

export interface FolderRow extends Place {
  readonly kind: "folder";
  /** The folder's name from the top on. */
  readonly name: string;
  readonly open: boolean;
  /** All runs in it, those in its folders too. */
  readonly runs: readonly string[];
}

export type Row = RunRow | FolderRow;

interface Node {
  run: string | undefined;
  readonly children: Map<string, Node>;
}

const fresh = (): Node => ({ run: undefined, children: new Map() });

/** The rows for runs in the order in which they are listed; what is in `closed` folders has none. */
export function rowsOf(
  names: readonly string[],
  pins: ReadonlySet<string>,
  closed: ReadonlySet<string>,
): Row[] {
  const pinned = names.filter((name) => pins.has(name));
  const root = fresh();
  for (const name of names) if (!pins.has(name)) place(root, name);
  const rows: Row[] = [];
  const inTree = rowsIn(root, "", 0, pinned.length, closed);
  const siblings = inTree.length ? inTree[0].siblings : pinned.length;
  pinned.forEach((name, i) => {
    rows.push({ kind: "run", name, label: name, depth: 0, pinned: true, position: i + 1, siblings });
  });
  return rows.concat(inTree);
}

function place(root: Node, name: string): void {
  let node = root;
  for (const part of name.split("/")) {
    const next = node.children.get(part) ?? fresh();
    node.children.set(part, next);
    node = next;
  }
  node.run = name;
}

/** The rows in a folder, of which `before` rows of other origin come first. */
function rowsIn(
  folder: Node,
  path: string,
  depth: number,
  before: number,
  closed: ReadonlySet<string>,
): Row[] {
  const entries = [...folder.children].map(([part, node]) => shortened(part, node));
  const siblings =
    before + entries.reduce((n, { node }) => n + (node.run === undefined || !node.children.size ? 1 : 2), 0);
  const rows: Row[] = [];
  let position = before;
  for (const { label, node } of entries) {
    const base = { label, depth, siblings };
    if (node.run !== undefined)
      rows.push({ ...base, kind: "run", name: node.run, pinned: false, position: ++position });
    if (!node.children.size) continue;
    const name = path ? `${path}/${label}` : label;
    const open = !closed.has(name);
    const runs = runsBelow(node);
    rows.push({ ...base, kind: "folder", name, open, runs, position: ++position });
    if (open) for (const row of rowsIn(node, name, depth + 1, 0, closed)) rows.push(row);
  }
  return rows;
}

/** A folder that holds nothing but one folder or one run is written in one line with it. */
function shortened(part: string, node: Node): { label: string; node: Node } {
  let label = part;
  let inner = node;
  while (inner.run === undefined && inner.children.size === 1) {
    const [next, child] = [...inner.children][0];
    label += `/${next}`;
    inner = child;
  }
  return { label, node: inner };
}

/** The runs in a folder, without one of the folder's own name: that has a row beside it. */
function runsBelow(node: Node): string[] {
  const names: string[] = [];
  for (const child of node.children.values()) {
    if (child.run !== undefined) names.push(child.run);
    for (const name of runsBelow(child)) names.push(name);
  }
  return names;
}

/** Where the focus goes from row `at`; -1 where the key is none that moves it. */
export function moved(rows: readonly Row[], at: number, key: string, page: number): number {
  const last = rows.length - 1;
  const within = (to: number): number => Math.max(0, Math.min(last, to));
  switch (key) {
    case "ArrowDown":
      return within(at + 1);
    case "ArrowUp":
      return within(at - 1);
    case "PageDown":
      return within(at + page);
    case "PageUp":
      return within(at - page);
    case "Home":
      return 0;
    case "End":
      return last;
    case "ArrowLeft":
      return outer(rows, at);
    default:
      return -1;
  }
}

/** The folder that a row is in; the row itself if it is in none. */
function outer(rows: readonly Row[], at: number): number {
  const depth = rows[at]?.depth ?? 0;
  for (let i = at - 1; i >= 0; i--) if (rows[i].kind === "folder" && rows[i].depth < depth) return i;
  return at;
}

/** The half-open range of rows of `height` pixels that a window shows, with `spare` rows on both sides. */
export function rowWindow(
  count: number,
  height: number,
  top: number,
  room: number,
  spare = 6,
): [number, number] {
  const first = Math.max(0, Math.min(count, Math.floor(top / height) - spare));
  return [first, Math.min(count, Math.ceil((top + room) / height) + spare)];
}

/** All runs between two rows, both included, in the order of the list. */
export function runsBetween(rows: readonly Row[], from: number, to: number): string[] {
  return rows
    .slice(Math.min(from, to), Math.max(from, to) + 1)
    .flatMap((row) => (row.kind === "run" ? [row.name] : row.open ? [] : row.runs));
}
