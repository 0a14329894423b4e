import type { Config, ModelConfig } from '../config/config.ts';
import type { CommandLine, Engine, Launch } from '../plugins/engine-plugin.ts';

/** What stands for the ports and the key, which each run gets anew, in a command line that is only shown or compared. */
export const placeholders = { port: '<port>', innerPort: '<inner port>', apiKey: '<key>' } as const;

/** What stands for the files of a model that has to be brought here first. */
export const modelPlaceholder = '<model>';

/** A replica's executable and its leading arguments. @param commands `gateway.engines` */
export function executableOf(model: ModelConfig, engine: Engine, commands: Config['engineCommands']): readonly [string, ...string[]] {
  return model.command ?? commands.get(model.engine) ?? [engine.executable];
}

/** What follows a replica's executable and its leading arguments, and what its engine needs in its environment. */
export function commandLineOf(
  model: ModelConfig,
  engine: Engine,
  given: Pick<Launch, 'port' | 'innerPort' | 'apiKey' | 'adapters'>,
): CommandLine {
  return engine.command({
    model: model.source.kind === 'remote' ? { kind: 'path', value: modelPlaceholder } : model.source,
    servedName: model.name,
    ...given,
    stopGraceS: Math.floor(engine.stopping.graceMs / 1000),
  });
}
