export type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What a server says before the body. */
export interface HttpHead {
  /** The URL that answered, after redirects. */
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
}

export function headOf(url: URL, status: number, headers: RawHeaders): HttpHead {
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' || value === undefined ? value : value[0];
  };
  return { url, status, header };
}
