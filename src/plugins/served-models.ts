/** Ids of an OpenAI model list: `{"data": [{"id": …}, …]}`. Anything else lists none. */
export function readModelIds(body: unknown): readonly string[] {
  if (typeof body !== 'object' || body === null || !('data' in body) || !Array.isArray(body.data)) return [];
  return body.data.flatMap((model: unknown) =>
    typeof model === 'object' && model !== null && 'id' in model && typeof model.id === 'string' ? [model.id] : [],
  );
}
