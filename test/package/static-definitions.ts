// The node definitions in an editor file, read as text and not run, as the catalogue reads them.
import { strict as assert } from 'node:assert';
import ts from 'typescript';

export interface StaticDefinition {
  readonly type: string;
  /** The properties whose value is written out as a string or a number. */
  readonly literals: Readonly<Record<string, string | number>>;
  /** The names of the saved properties, or null where they are computed. */
  readonly defaults: readonly string[] | null;
}

/** Each `registerType('the-type', { … })` in the file's scripts. A type or a definition that is computed is an error. */
export function staticDefinitions(html: string): StaticDefinition[] {
  const scripts = [...html.matchAll(/<script[^>]+type=['"]text\/javascript['"][^>]*>([\s\S]*?)<\/script>/gi)];
  const found: StaticDefinition[] = [];
  const look = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isRegisterType(node.expression)) found.push(definitionOf(node));
    ts.forEachChild(node, look);
  };
  for (const [, script = ''] of scripts)
    look(ts.createSourceFile('editor.js', script, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS));
  return found;
}

function isRegisterType(called: ts.Expression): boolean {
  return ts.isPropertyAccessExpression(called) && called.name.text === 'registerType';
}

function definitionOf({ arguments: [type, definition] }: ts.CallExpression): StaticDefinition {
  assert.ok(type !== undefined && ts.isStringLiteral(type), 'the type is not written out');
  assert.ok(
    definition !== undefined && ts.isObjectLiteralExpression(definition),
    `the definition of ${type.text} is not written out`,
  );
  const literals: Record<string, string | number> = {};
  let defaults: string[] | null = null;
  for (const property of definition.properties) {
    const key = nameOf(property);
    if (!ts.isPropertyAssignment(property)) continue;
    const { initializer: value } = property;
    if (ts.isStringLiteral(value)) literals[key] = value.text;
    if (ts.isNumericLiteral(value)) literals[key] = Number(value.text);
    if (key === 'defaults' && ts.isObjectLiteralExpression(value)) defaults = value.properties.map(nameOf);
  }
  return { type: type.text, literals, defaults };
}

function nameOf({ name }: ts.ObjectLiteralElementLike): string {
  return name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : '';
}
