// Shared queue without its synchronous standby for a short time. The long run takes a minute.
import { describeStandbyAway } from './standby-away';

describeStandbyAway(20_000);
