// Requests of the forms to our routes.

export function post(route: string, body: object): JQuery.jqXHR {
  return $.ajax({
    url: `instant-audience/${route}`,
    method: 'POST',
    contentType: 'application/json',
    data: JSON.stringify(body),
  });
}
