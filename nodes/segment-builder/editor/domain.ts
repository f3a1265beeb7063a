// Form field for the kind of id: a list of names for the saved domain, type and permission.
import { knownDomains } from '../../../src/entry/index';
import type { EditorNode } from '../../types/red-editor';
import type { BuilderProperties } from './properties';
import { keepBox, withVariable } from '../../shared/editor/choices';
import { nameInput, offerTypes, setInput, typesFor } from './typed-inputs';

/** What the user ids of a kind look like; else as the kind is called. */
const exampleOf: Readonly<Record<string, string>> = {
  idfa: 'uuid',
  aaid: 'uuid',
  sha1udid: 'hex40',
  sh1udid: 'hex40',
  openudid: 'hex40',
  md5udid: 'hex32',
};

/** What the list shows for saved properties. */
function kindOf(domain: string, domainType: string): string {
  if (domainType !== 'str') return 'property';
  if (domain === '') return 'platform';
  return knownDomains.includes(domain) ? domain : 'custom';
}

export function prepareDomain(node: EditorNode<BuilderProperties>): void {
  const kind = $('#instant-audience-domain-kind');
  const value = $('#node-input-domain');
  keepBox($('#node-input-allowCustomDomain'), node.allowCustomDomain);
  const start = kindOf(node.domain, node.domainType);
  const sources = withVariable(typesFor(node, node.source === 'items'), node.domainType);
  const types = start === 'property' ? sources : ['str' as const];
  value.typedInput({ types, typeField: '#node-input-domainType' });
  nameInput(node, value, 'domainValue');
  kind.val(start);
  showKind(node, start);
  kind.on('change', () => applyKind(node, String(kind.val())));
}

/** The list of types changes with the source. */
export function offerDomainTypes(node: EditorNode<BuilderProperties>, items: boolean): void {
  if ($('#instant-audience-domain-kind').val() === 'property')
    offerTypes(node, $('#node-input-domain'), items);
}

function applyKind(node: EditorNode<BuilderProperties>, kind: string): void {
  const value = $('#node-input-domain');
  const items = $('#node-input-source').val() === 'items';
  if (kind === 'property') {
    value.typedInput('types', typesFor(node, items));
    setInput(value, items ? 'item' : 'msg', items ? 'domain' : 'payload.domain');
  } else {
    value.typedInput('types', ['str']);
    setInput(value, 'str', knownDomains.includes(kind) ? kind : '');
  }
  const allow = $('#node-input-allowCustomDomain');
  if (allow.is(':checkbox')) allow.prop('checked', kind === 'custom');
  else allow.val(String(kind === 'custom'));
  showKind(node, kind);
}

function showKind(node: EditorNode<BuilderProperties>, kind: string): void {
  const own = kind === 'custom' || kind === 'property';
  $('#instant-audience-domain-value').toggle(own);
  $('#instant-audience-custom-domain').toggle(
    kind === 'property' || !$('#node-input-allowCustomDomain').is(':checkbox'),
  );
  $('#instant-audience-example').text(node._(`segment-builder.example.${exampleOf[kind] ?? kind}`));
}
