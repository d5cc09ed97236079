// What a host may ask of the app beyond what its source answers.
import type { Route } from "./route";

export interface HostOptions {
  /** Whether the view stands alone, without the side bar and the top bar: for one result in a notebook. */
  readonly compact?: boolean;
  /** Where to begin, as "#/layer?tag=conv1", while the address of the page names no place. */
  readonly startAt?: string;
  /** The address under which a place can be handed on, relative to the page; there it is offered for copying. */
  readonly share?: (route: Route) => string | undefined;
  /** Whether the page is dark, and news of that; the system's setting by default. */
  readonly dark?: EventTarget & { readonly matches: boolean };
}

/** Put a text on the clipboard, also where the page may not use that by itself. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages that are not secure may copy only what is chosen in them.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}
