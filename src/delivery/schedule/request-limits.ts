// Limits of one request (service.md 3.2). They are settings, because the service may change them.

export interface RequestLimits {
  readonly usersPerPost: number;
  /** Further blocks of a user go into further requests. */
  readonly blocksPerUser: number;
  /** A body must be smaller than this. */
  readonly maxBodyBytes: number;
}

export const documentedRequestLimits: RequestLimits = {
  usersPerPost: 1000,
  blocksPerUser: 100,
  maxBodyBytes: 1_000_000,
};

/** Limits that are absent have their documented values. */
export function requestLimitsOf({
  usersPerPost = documentedRequestLimits.usersPerPost,
  blocksPerUser = documentedRequestLimits.blocksPerUser,
  maxBodyBytes = documentedRequestLimits.maxBodyBytes,
}: Partial<RequestLimits>): RequestLimits {
  return { usersPerPost, blocksPerUser, maxBodyBytes };
}
