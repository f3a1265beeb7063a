// Form field for the kind of id: a list of names for the saved domain, type and permission.
import { knownDomains } from '../../../src/entry/index';
import type { EditorNode } from '../../types/red-editor';
import type { BuilderProperties } from './properties';
import { keepBox, withVariable } from '../../shared/editor/choices';
import { nameInput, offerTypes, typesFor } from './typed-inputs';

const exampleOf: Readonly<Record<string, string>> = {
  platform: 'platform',
  idfa: 'uuid',
  aaid: 'uuid',
  sha1udid: 'hex40',
  sh1udid: 'hex40',
  openudid: 'hex40',
  md5udid: 'hex32',
  custom: 'custom',
  property: 'property',
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
  const types = withVariable(['str', ...typesFor(node, true)], node.domainType);
  value.typedInput({ types, typeField: '#node-input-domainType' });
  nameInput(node, value, 'domainValue');
  const start = kindOf(node.domain, node.domainType);
  kind.val(start);
  showKind(node, start);
  kind.on('change', () => {
    const chosen = String(kind.val());
    applyKind(node, chosen);
    showKind(node, chosen);
  });
}

/** The list of types changes with the source. */
export function offerDomainTypes(node: EditorNode<BuilderProperties>, items: boolean, moved: boolean): void {
  if ($('#instant-audience-domain-kind').val() === 'property') {
    offerTypes($('#node-input-domain'), typesFor(node, items), moved ? items : null);
  }
}

function applyKind(node: EditorNode<BuilderProperties>, kind: string): void {
  const value = $('#node-input-domain');
  const items = $('#node-input-source').val() === 'items';
  if (kind === 'property') {
    value.typedInput('types', typesFor(node, items));
    value.typedInput('type', items ? 'item' : 'msg');
    value.typedInput('value', items ? 'domain' : 'payload.domain');
  } else {
    value.typedInput('types', ['str']);
    value.typedInput('type', 'str');
    value.typedInput('value', knownDomains.includes(kind) ? kind : '');
  }
  const allow = $('#node-input-allowCustomDomain');
  if (allow.is(':checkbox')) allow.prop('checked', kind === 'custom');
  else allow.val(String(kind === 'custom'));
}

function showKind(node: EditorNode<BuilderProperties>, kind: string): void {
  const own = kind === 'custom' || kind === 'property';
  if (kind === 'custom') $('#node-input-domain').typedInput('types', ['str']);
  $('#instant-audience-domain-value').toggle(own);
  $('#instant-audience-custom-domain').toggle(
    kind === 'property' || !$('#node-input-allowCustomDomain').is(':checkbox'),
  );
  $('#instant-audience-example').text(node._(`segment-builder.example.${exampleOf[kind] ?? 'custom'}`));
}
