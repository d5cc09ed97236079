// What a browser keeps for the next visit. Pages in a sandbox, and with cookies forbidden, have no such place.

export function recalled(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It is asked for again at the next visit.
  }
}
