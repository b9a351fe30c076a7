// Answers auth_request: 204 with what the API wants to know, 401 for a token
// that is not active, 403 for one without the scope. Anything else, such as
// Cambio not being there, is no verdict about the token: 500.
async function authorize(r) {
  const token = /^Bearer ([A-Za-z0-9._~+\/-]+=*)$/i.exec(r.headersIn.Authorization || '');
  if (!token) return refuse(r, 401, 'Bearer');

  const reply = await r.subrequest('/_introspect', { method: 'POST', body: 'token=' + encodeURIComponent(token[1]) });
  if (reply.status !== 200) return r.return(500);
  const about = JSON.parse(reply.responseText);
  if (about.active !== true) return refuse(r, 401, 'Bearer error="invalid_token"');
  if (!about.scope.split(' ').includes(r.variables.required)) return refuse(r, 403, 'Bearer error="insufficient_scope"');

  r.headersOut['Token-Scope'] = about.scope;
  r.headersOut['Token-Subject'] = about.sub;
  r.return(204);
}

function refuse(r, status, challenge) {
  r.headersOut['WWW-Authenticate'] = challenge;
  r.return(status);
}

export default { authorize };
