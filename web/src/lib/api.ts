/** The typed client of `/api/v1`. An answer that is an error becomes an `ApiError` with the server's own words. */
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema';
import { session } from './session.svelte';

export type Schema = components['schemas'];
export type Device = Schema['Device'];
export type Why = Schema['Why'];
export type Finding = Schema['Finding'];
export type FindingEvidence = Schema['Evidence'];
export type DeviceState = Schema['DeviceState'];
export type DeviceObject = Schema['DeviceObject'];
export type ResourceDefinition = Schema['ResourceDefinition'];
export type Operation = Schema['Operation'];
export type PathValue = Schema['PathValue'];
export type Update = Schema['Update'];
export type Firmware = Schema['Firmware'];
export type Credential = Schema['Credential'];
export type AuditEntry = Schema['AuditEntry'];
export type DeviceCount = Schema['DeviceCount'];
export type BootstrapConfig = Schema['BootstrapConfig'];
export type BootstrapClaim = Schema['BootstrapClaim'];
export type Sample = Schema['Sample'];
export type DeviceRequest = Schema['Request'];
export type BuoyEvent = Schema['Event'] & { at: number };

/** Why a request failed, as the server says it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Where in a filter the error is. */
    readonly position?: number,
  ) {
    super(detail || title);
  }
}

async function problem(response: Response): Promise<ApiError> {
  try {
    const body = (await response.clone().json()) as { title?: string; detail?: string; position?: number };
    return new ApiError(response.status, body.title ?? response.statusText, body.detail ?? '', body.position);
  } catch {
    const words = `the server answered ${response.status} ${response.statusText}`;
    return new ApiError(response.status, 'The request failed', words);
  }
}

const failures: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET' && session.csrf) request.headers.set('X-CSRF-Token', session.csrf);
    return request;
  },
  async onResponse({ request, response }) {
    if (response.status === 401 && !/\/sign-in$/.test(new URL(request.url).pathname)) session.ended();
    if (!response.ok) throw await problem(response);
    return response;
  },
  onError({ error }) {
    if (error instanceof ApiError || (error instanceof DOMException && error.name === 'AbortError')) return error;
    return new ApiError(0, 'The server cannot be reached', 'The server cannot be reached. Check that buoy serve runs.');
  },
};

export const api = createClient<paths>({ baseUrl: '/' });
api.use(failures);

/** The data of an answer; openapi-fetch types it as possibly missing, which `failures` rules out. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<NonNullable<T>> {
  return (await answer).data as NonNullable<T>;
}

/** Sends bytes, with a report of the part that is sent. */
export function upload<T>(
  method: 'POST' | 'PUT',
  url: string,
  body: Blob,
  progress: (part: number) => void,
  type = 'application/octet-stream',
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.setRequestHeader('Content-Type', type);
    if (session.csrf) request.setRequestHeader('X-CSRF-Token', session.csrf);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError(0, 'The server cannot be reached', 'The upload was interrupted.'));
    request.onload = () => {
      let answer: { title?: string; detail?: string } = {};
      try {
        answer = JSON.parse(request.responseText || '{}') as typeof answer;
      } catch {
        // An answer that is no JSON has a status all the same.
      }
      if (request.status < 300) resolve(answer as T);
      else reject(new ApiError(request.status, answer.title ?? 'The upload failed', answer.detail ?? ''));
    };
    request.send(body);
  });
}

/** The words of an error for a person. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
