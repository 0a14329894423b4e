import type { InputLimits } from '../../core/input-limits.ts';
import { isMapping, type Mapping } from '../../core/json.ts';
import type { Operation } from '../../core/request.ts';
import { notForClients, overLimit, shown, wrong } from './faults.ts';
import { checkSchema } from './schema.ts';

/** Members by which a tool is run somewhere else: whoever has the tool run would connect to it. */
const elsewhere = ['server_url', 'connector_id', 'server_label'];

/** @param bytes of all tools. @throws GatewayError `param_too_large`, `param_refused`, `request_invalid` */
export function checkTools(operation: Operation, tools: unknown, bytes: number, limits: InputLimits): void {
  if (!Array.isArray(tools)) return;
  if (tools.length > limits.maxTools) throw overLimit('tools', `has ${tools.length} tools`, 'maxTools', limits);
  if (bytes > limits.maxSchemaBytes) checkSizes(tools, limits);
  for (const [index, tool] of tools.entries()) checkTool(`tools.${index}`, operation, tool, limits);
}

function checkSizes(tools: readonly unknown[], limits: InputLimits): void {
  for (const [index, tool] of tools.entries()) {
    const bytes = Buffer.byteLength(JSON.stringify(tool));
    if (bytes > limits.maxSchemaBytes) throw overLimit(`tools.${index}`, `has ${bytes} bytes`, 'maxSchemaBytes', limits);
  }
}

function checkTool(param: string, operation: Operation, tool: unknown, limits: InputLimits): void {
  if (!isMapping(tool)) throw wrong(param, `must be a tool, not ${shown(tool)}`);
  for (const name of elsewhere) {
    if (name in tool) throw notForClients(`${param}.${name}`, 'the engine would connect to that server');
  }
  const { type = 'function' } = tool;
  if (typeof type !== 'string') throw wrong(`${param}.type`, `must be the name of a kind of tool, not ${shown(type)}`);
  if (operation === 'chat' && type === 'function') checkFunction(`${param}.function`, tool['function'], limits);
  checkParameters(param, tool, limits);
}

function checkFunction(param: string, given: unknown, limits: InputLimits): void {
  if (!isMapping(given)) throw wrong(param, `must be an object with a name, not ${shown(given)}`);
  if (typeof given['name'] !== 'string' || given['name'] === '')
    throw wrong(`${param}.name`, `must be a name, not ${shown(given['name'])}`);
  checkParameters(param, given, limits);
}

/** `input_schema` is Anthropic's word. */
function checkParameters(param: string, tool: Mapping, limits: InputLimits): void {
  for (const name of ['parameters', 'input_schema']) {
    const schema = tool[name];
    if (schema !== undefined && schema !== null) checkSchema(`${param}.${name}`, schema, limits);
  }
}
