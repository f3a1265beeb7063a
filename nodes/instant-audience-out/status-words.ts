// Status keys for the problems of an account.

/** For a problem of an account's configuration, by its key in the account's words. */
export function accountStatus(problemKey: string): string {
  return accountProblems[problemKey] ?? 'account';
}

const accountProblems: Readonly<Record<string, string>> = {
  'error.member_missing': 'member_missing',
  'error.username_missing': 'login_missing',
  'error.password_missing': 'login_missing',
  'error.key_name_missing': 'login_missing',
  'error.key_missing': 'login_missing',
  'error.key_invalid': 'key_invalid',
  'error.key_public': 'key_invalid',
  'error.key_encrypted': 'key_invalid',
  'error.queue_kinds_differ': 'queue_kinds_differ',
  'error.queue_encryption_differs': 'queue_kinds_differ',
  'error.encrypt_shared': 'encryption',
  'error.encrypt_no_secret': 'encryption',
};
