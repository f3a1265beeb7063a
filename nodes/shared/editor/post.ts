// Requests of the forms to our routes.

export function post(route: string, body: object): JQuery.jqXHR {
  return $.ajax({
    url: `instant-audience/${route}`,
    method: 'POST',
    contentType: 'application/json',
    data: JSON.stringify(body),
  });
}

export type NoReply = 'notPermitted' | 'noAnswer';

/** For a request to the runtime that failed: a key of the form's words. */
export function whyNoReply(reply: unknown): NoReply {
  const { status } = reply as JQuery.jqXHR;
  return status === 401 || status === 403 ? 'notPermitted' : 'noAnswer';
}
