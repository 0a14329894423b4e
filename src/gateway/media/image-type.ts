/** First bytes of the images that engines read, by media type. */
const signatures: readonly (readonly [type: string, at: number, bytes: string])[] = [
  ['image/png', 0, '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['image/bmp', 0, 'BM'],
  ['image/tiff', 0, 'II*\0'],
  ['image/tiff', 0, 'MM\0*'],
  ['image/avif', 4, 'ftypavif'],
  ['image/heic', 4, 'ftypheic'],
];

export const imageTypes: readonly string[] = [...new Set(signatures.map(([type]) => type))];

/** The media type of an image by its first bytes, whatever its sender says; undefined where it is none of those that engines read. */
export function imageType(bytes: Buffer): string | undefined {
  return signatures.find(([, at, mark]) => bytes.toString('latin1', at, at + mark.length) === mark)?.[0];
}
