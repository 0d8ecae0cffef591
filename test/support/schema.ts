import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** The validator of a shipped schema, such as `validate-1`. */
export function shippedSchema(name: string): ValidateFunction {
  const schema = JSON.parse(readFileSync(new URL(`../../schema/${name}.json`, import.meta.url), 'utf8'));
  return new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true }).compile(
    schema,
  );
}
