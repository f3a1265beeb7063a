// Types of the editor's `RED` that `@types/node-red` lacks: validators that return sentences.
import type { EditorRED } from 'node-red';

/** true, or the problem as the editor shows it. */
export type Verdict = true | string | string[];

interface PropertyDefinition<Props, Value> {
  value: Value | '';
  /** The type of config node that the property points to. */
  type?: string;
  required?: boolean;
  label?: string;
  /** Takes two arguments, or the editor takes any sentence for "valid". */
  validate?: (this: EditorNode<Props>, value: Value, options: { label?: string }) => Verdict;
}

/** A node in the editor: its saved properties and the editor's own. */
export type EditorNode<Props> = Props & {
  readonly id: string;
  readonly type: string;
  name?: string;
  /** Absent until the form has been opened, and again after each deploy. */
  readonly credentials?: Readonly<Record<string, unknown>>;
  _(key: string, params?: Record<string, unknown>): string;
};

interface CredentialDefinition<Props> {
  type: 'text' | 'password';
  /** Asked while the form is open only; `value` is `__PWRD__` for a stored password. */
  validate?: (this: EditorNode<Props>, value: string, options: { label?: string }) => Verdict;
}

interface EditorDefinition<Props, Credentials = Record<string, never>> {
  category: string;
  color?: string;
  defaults: { [Key in keyof Props]: PropertyDefinition<Props, Props[Key]> };
  credentials?: { [Key in keyof Credentials]: CredentialDefinition<Props> };
  inputs?: 0 | 1;
  outputs?: number;
  icon?: string;
  align?: 'left' | 'right';
  paletteLabel?: string | ((this: EditorNode<Props>) => string);
  label?: string | ((this: EditorNode<Props>) => string);
  labelStyle?: string | ((this: EditorNode<Props>) => string);
  outputLabels?: string[] | ((this: EditorNode<Props>, index: number) => string);
  /** A node was dragged in (before the editor knows it), or imported. */
  onadd?: (this: EditorNode<Props>) => void;
  oneditprepare?: (this: EditorNode<Props>) => void;
  oneditsave?: (this: EditorNode<Props>) => void;
  oneditcancel?: (this: EditorNode<Props>) => void;
  oneditdelete?: (this: EditorNode<Props>) => void;
}

/** A step of the undo history; `multi` has several, `add` the ids of the nodes that were added. */
export interface HistoryEvent {
  readonly t: string;
  readonly events?: readonly HistoryEvent[];
  readonly nodes?: string[];
}

/** The editor's global `RED`; declare it where it is used: `declare const RED: EditorRed`. */
export type EditorRed = Omit<EditorRED, 'nodes' | 'editor' | 'tabs' | 'utils' | 'events' | 'history'> & {
  /** Words of the editor itself, such as `editor:common.label.name`. */
  _(key: string, params?: Record<string, unknown>): string;
  /** Absent where a script is only read for its definition. */
  events?: EditorRED['events'];
  nodes: {
    registerType<Props, Credentials = Record<string, never>>(
      type: string,
      definition: EditorDefinition<Props, Credentials>,
    ): void;
    /** What a type was registered with. */
    getType(type: string): {
      readonly defaults: Readonly<Record<string, { readonly value: unknown; readonly validate?: unknown }>>;
      readonly credentials?: Readonly<Record<string, unknown>>;
    };
    /** A node of the workspace with its saved properties. */
    node(id: string): Readonly<Record<string, unknown>> | undefined;
    /** Every configuration node of the workspace. */
    eachConfig(see: (node: Readonly<Record<string, unknown>>) => void): void;
    /** A new id. */
    id(): string;
    add<Node extends object>(node: Node): Node;
    /** Tells the configuration nodes that a node points to that it uses them. */
    updateConfigNodeUsers(node: object, options: { action: 'add' | 'remove' }): void;
  };
  history: {
    /** What undo would take back. */
    peek(): HistoryEvent | undefined;
  };
  editor: {
    /** Looks at a node again, for its red triangle. */
    validateNode(node: object): boolean;
  };
  tabs: {
    create(options: { id: string; onchange(tab: { id: string }): void }): {
      addTab(tab: { id: string; label: string }): void;
      activateTab(id: string): void;
    };
  };
  utils: {
    /** true, or the problem of a typed input's value. */
    validateTypedProperty(value: unknown, type: string, options: { label?: string }): true | string;
    validatePropertyExpression(expression: string): boolean;
    /** The parts of a path; throws an Error with the reason. */
    normalisePropertyExpression(expression: string): readonly PropertyPart[];
    /** Creates what is missing on the way; false when something on the way is no object. */
    setMessageProperty(message: object, expression: string, value: unknown, createMissing: boolean): boolean;
    getNodeLabel(node: object, fallback: string): string;
  };
};

/** A part that is a list is a path within the message: `payload[msg.topic]`. */
type PropertyPart = string | number | readonly PropertyPart[];
