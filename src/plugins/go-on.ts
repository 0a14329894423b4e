import type { GoOn } from './engine-plugin.ts';

/** The text stands behind the prompt, or as the beginning of the assistant's turn, with what tells the engine not to end that turn. */
export function goOnWith(unfinished: Readonly<Record<string, unknown>>): GoOn {
  return (body, text, operation) => {
    if (operation === 'completions') return { ...body, prompt: `${String(body['prompt'])}${text}` };
    const messages: readonly unknown[] = Array.isArray(body['messages']) ? body['messages'] : [];
    return { ...body, messages: [...messages, { role: 'assistant', content: text }], ...unfinished };
  };
}

/** vLLM's and SGLang's words for it. */
export const unfinishedTurn = { add_generation_prompt: false, continue_final_message: true } as const;
