// Writes src/lib/schema.d.ts from crates/api/openapi.json; with --check it fails if the file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const source = new URL('../../crates/api/openapi.json', import.meta.url);
const target = new URL('../src/lib/schema.d.ts', import.meta.url);
const head = '// Made from crates/api/openapi.json by `npm run client`.\n\n';
const document = JSON.parse(readFileSync(source, 'utf8'));
// The client goes by paths. Names of operations would only add a second table of types.
for (const path of Object.values(document.paths)) {
  for (const operation of Object.values(path)) delete operation.operationId;
}
const text = head + astToString(await openapiTS(document, { alphabetize: true }));
if (process.argv.includes('--check')) {
  let current = '';
  try {
    current = readFileSync(target, 'utf8');
  } catch {
    // A missing file is a stale one.
  }
  if (current !== text) {
    console.error('src/lib/schema.d.ts is stale: run `npm run client` in the folder web');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
