// What the programs here share, so that each shows its library and little else.
//
// A program gets tokens on standard input, one a line, and answers each with
// one line of JSON: what its library gives a caller, or {"error": …}, no more
// than what its library tells a caller.
import { createInterface } from 'node:readline';

export async function eachToken(answer) {
  for await (const token of createInterface({ input: process.stdin })) {
    let line;
    try {
      line = await answer(token);
    } catch (error) {
      line = { error: told(error) };
    }
    console.log(JSON.stringify(line));
  }
}

// told is what the catcher of an error reads in it. JSON.stringify alone leaves
// out the message, which is not enumerable.
function told(error) {
  if (!(error instanceof Error)) return error;
  const { name, message, code, error: oauth, error_description, cause } = error;
  return { name, message, code, error: oauth, error_description, cause: told(cause) };
}
