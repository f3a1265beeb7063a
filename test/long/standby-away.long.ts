// A shared queue without its synchronous standby, for a minute.
import { describeStandbyAway } from '../queue/standby-away';

describeStandbyAway(60_000);
