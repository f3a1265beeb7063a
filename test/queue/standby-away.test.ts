// A shared queue without its synchronous standby, for a while. The long run does it for a minute.
import { describeStandbyAway } from './standby-away';

describeStandbyAway(20_000);
