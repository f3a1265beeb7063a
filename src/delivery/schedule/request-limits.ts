// What one request may hold (service.md 3.2): settings, since the service may change them.

export interface RequestLimits {
  readonly usersPerPost: number;
  /** More of a user are spread over several requests. */
  readonly blocksPerUser: number;
  /** A body is smaller than this. */
  readonly maxBodyBytes: number;
}

export const documentedRequestLimits: RequestLimits = {
  usersPerPost: 1000,
  blocksPerUser: 100,
  maxBodyBytes: 1_000_000,
};

/** What is not said is as documented. */
export function requestLimitsOf({
  usersPerPost = documentedRequestLimits.usersPerPost,
  blocksPerUser = documentedRequestLimits.blocksPerUser,
  maxBodyBytes = documentedRequestLimits.maxBodyBytes,
}: Partial<RequestLimits>): RequestLimits {
  return { usersPerPost, blocksPerUser, maxBodyBytes };
}
