// Calls of the tab's admin routes with the editor's login, and downloads in the browser.
import type { SidebarRed } from '../../types/red-sidebar';

declare const RED: SidebarRed;

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Relative to the editor's own address, wherever that is. Never rejects; status 0 when nobody answered. */
export function call(method: 'GET' | 'POST', path: string, body?: object): Promise<Reply> {
  return new Promise((resolve) => {
    void $.ajax({
      method,
      url: address(path),
      ...(body !== undefined && { contentType: 'application/json', data: JSON.stringify(body) }),
      complete: (answer) => resolve({ status: answer.status, body: parsed(answer.responseText) }),
    });
  });
}

/** The text of a route, or null. */
export function text(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    void $.ajax({
      method: 'GET',
      url: address(path),
      dataType: 'text',
      success: (answer: string) => resolve(answer),
      error: () => resolve(null),
    });
  });
}

export function saveAs(name: string, content: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function address(path: string): string {
  return `${RED.settings.apiRootUrl ?? ''}instant-audience/${path}`;
}

function parsed(answer: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(answer ?? '');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
