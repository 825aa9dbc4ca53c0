// The configuration, from the environment: `template.json` says which variable is which setting.

const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** What can be configured. */
export interface Settings {
  /** Where to listen: `PORT`. */
  port: number;
  /** Who the greetings come from: `HELLO_FROM`. */
  helloFrom: string;
  /** How much is told about the work: `LOG_LEVEL`. */
  logLevel: LogLevel;
}

/** The variable that is wrong, and what would be right. */
export class SettingsError extends Error {}

/** Reads the variables; one that is empty counts as absent. */
export function readSettings(variables: NodeJS.ProcessEnv): Settings {
  const port = variables.PORT || "8080";
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
    throw new SettingsError(`\`PORT\` is \`${port}\`; a number from 1 to 65535`);
  }
  const written = variables.LOG_LEVEL || "info";
  const logLevel = LOG_LEVELS.find((level) => level === written);
  if (logLevel === undefined) {
    throw new SettingsError(`\`LOG_LEVEL\` is \`${written}\`; \`debug\`, \`info\`, \`warning\` or \`error\``);
  }
  return { port: Number(port), helloFrom: variables.HELLO_FROM || "mcp-deploy", logLevel };
}

/** Writes a line to stderr, where the settings want it. */
export function log(settings: Settings, level: LogLevel, message: string): void {
  if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(settings.logLevel)) {
    console.error(`${new Date().toISOString()} ${level.toUpperCase()} ${message}`);
  }
}
