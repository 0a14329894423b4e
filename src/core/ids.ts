declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A model's public id, as configured (`model_loading_config.model_id`). May contain `/` and `:`. */
export type ModelName = Brand<string, 'ModelName'>;
/** A LoRA adapter of a model, as clients write it behind `base:`; with `@revision` where they pin one. */
export type AdapterName = Brand<string, 'AdapterName'>;
/** One running engine instance; unique over the life of a state directory. */
export type ReplicaId = Brand<string, 'ReplicaId'>;
/** A column of the load board. */
export type Slot = Brand<number, 'Slot'>;

export const modelName = (value: string): ModelName => value as ModelName;
export const adapterName = (value: string): AdapterName => value as AdapterName;
export const replicaId = (value: string): ReplicaId => value as ReplicaId;
export const slot = (value: number): Slot => value as Slot;
