// A shared queue without its synchronous standby, for a minute.
import { describeStandbyAway } from '../outbox/standby-away';

describeStandbyAway(60_000);
