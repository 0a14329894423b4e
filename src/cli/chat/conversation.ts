import type { Answer, Message } from './ask-model.ts';

/** What was said so far, the system's word first. A value: each turn makes a new one. */
export type Conversation = readonly Message[];

export function begin(system: string | undefined): Conversation {
  return system === undefined ? [] : [{ role: 'system', content: system }];
}

export function say(conversation: Conversation, message: string): Conversation {
  return [...conversation, { role: 'user', content: message }];
}

/** With an answer, or - when nothing of one came - without the question too: two questions in a row are refused by some templates. */
export function hear(conversation: Conversation, answer: Answer | undefined): Conversation {
  if (answer === undefined || answer.text === '') return conversation.slice(0, -1);
  return [...conversation, { role: 'assistant', content: answer.text }];
}

/** What a typed line asks for. */
export type Line = { readonly kind: 'leave' | 'clear' | 'nothing' } | { readonly kind: 'message'; readonly text: string };

/** `typed`: undefined at the end of the input. */
export function readTyped(typed: string | undefined): Line {
  const text = typed?.trim();
  if (text === undefined || text === '/exit' || text === '/quit') return { kind: 'leave' };
  if (text === '/clear') return { kind: 'clear' };
  return text === '' ? { kind: 'nothing' } : { kind: 'message', text };
}
