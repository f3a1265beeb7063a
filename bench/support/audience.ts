// The audience of the sync's figures: members that are known, and a run in which 1 % of them has changed. IDs are in the order of
// their numbers and far apart; the run has them in another order, as most sources do.

export const segment = 10_001;
/** Of those in the run, as often as of the members. */
const oneOf = 200;
const apart = 899_999_983;
export const expirationMinutes = 43_200;

const idOf = (number: number, more = 0): string => `1${String(number * apart + more).padStart(18, '0')}`;

export const memberId = (number: number): string => idOf(number);

/** The rows of the run from a place on: every 200th member is missing, and another user is there instead. */
export function rowsOfRun(members: number, from: number, count: number): { id: string }[] {
  const stride = strideOf(members);
  return Array.from({ length: Math.min(count, members - from) }, (_, at) => {
    const number = ((from + at) * stride) % members;
    return { id: idOf(number, number % oneOf === 0 ? 1 : 0) };
  });
}

/** About 0.62 of the members, without a common divisor: so it visits each of them once. */
function strideOf(members: number): number {
  let stride = Math.floor(members * 0.618) | 1;
  while (divisor(stride, members) > 1) stride += 2;
  return stride;
}

function divisor(one: number, other: number): number {
  return other === 0 ? one : divisor(other, one % other);
}
