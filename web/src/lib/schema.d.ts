// Made from crates/api/openapi.json by `npm run client`.

export interface paths {
    "/api/v1/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The accounts, by their names. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Account"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Makes an account. The first one has to be an admin; from then on each request needs a sign-in or a token. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AddAccount"];
                };
            };
            responses: {
                /** @description The account */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Account"];
                    };
                };
                /** @description The name, the password or a grant is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is an account of this name */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One account. Everybody may see the own one. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The account */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Account"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no account of this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Changes an account: grants, password, whether it may sign in; removes its second factor. What is absent stays. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ChangeAccount"];
                };
            };
            responses: {
                /** @description The account as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Account"];
                    };
                };
                /** @description The password or a grant is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no account of this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is the last one that could manage accounts */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes an account with its tokens; its sign-ins end. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no account of this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is the last one that could manage accounts */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts/{name}/sign-in-link": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a link that signs a browser in to an account once, within ten minutes: the page with `#sign-in=TOKEN` behind its address. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The link's token, which is shown this once */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SignInLink"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no account of this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The account has a second factor, or an identity provider signs it in */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Messages to receivers, the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description Only ids below this: `next` of the page before. */
                    after?: number;
                    /** @description 1 to 1000; 100 without it. */
                    limit?: number;
                    /** @description Only those to this receiver. */
                    receiver?: string;
                    /** @description Only those in this state: "waiting", "delivered" or "dead". */
                    state?: "waiting" | "delivered" | "dead";
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AlertDelivery"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-deliveries/{id}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends a message again that was given up, under a new id. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It waits to be sent */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No such message was given up */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-receivers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The receivers, by name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AlertReceiver"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-receivers/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One receiver. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The receiver */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AlertReceiver"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such receiver */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Makes a receiver, or changes one. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutAlertReceiver"];
                };
            };
            responses: {
                /** @description The receiver as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewAlertReceiver"];
                    };
                };
                /** @description The name, the target or a number is wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a receiver, with the messages that wait for it. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such receiver */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description A rule names it */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-receivers/{name}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends a test to a receiver at once, and says how that ended. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description How it ended */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AlertReceiverTest"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such receiver */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The rules, by name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AlertRule"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-rules/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One rule. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The rule */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AlertRule"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such rule */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Makes a rule, or changes one. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutAlertRule"];
                };
            };
            responses: {
                /** @description The rule as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AlertRule"];
                    };
                };
                /** @description The name, the filter or a number is wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such receiver */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a rule. Its alerts end. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such rule */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-rules/defaults": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes the rules that most fleets want, except those whose names are taken. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The rules that were made */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AlertRule"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-silences": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The silences, by id. One that is over stays in the list for a day. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AlertSilence"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Silences alerts for a time: receivers are not told of them. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AddAlertSilence"];
                };
            };
            responses: {
                /** @description The silence */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AlertSilence"];
                    };
                };
                /** @description The filter or a time is wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such rule */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-silences/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Ends a silence. Receivers are told of what fires still. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such silence */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Alerts, the worst first, then the newest; those that are over with the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the page before. */
                    after?: number;
                    /** @description Only those of this device. */
                    endpoint?: string;
                    /** @description 1 to 1000; 100 without it. */
                    limit?: number;
                    /** @description Only those of this rule. */
                    rule?: string;
                    /** @description Only those that are at least so bad. */
                    severity?: "info" | "warning" | "critical";
                    /** @description Only those in this state: "pending", "firing", "flapping", or "resolved", which are those that are over. Without it, those that are not over. */
                    state?: "pending" | "firing" | "flapping" | "resolved";
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page. Alerts that begin or end meanwhile may be missing or twice */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Alert"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts/acknowledge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes note of alerts that fire: receivers are not told of them again. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AcknowledgeAlerts"];
                };
            };
            responses: {
                /** @description How many */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AcknowledgedAlerts"];
                    };
                };
                /** @description The comment is too long */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such rule, or no such alert fires */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The audit log: an entry for each change, the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description Only this action, or all actions that begin with it, for example `credential` for `credential.revoke`. */
                    action?: string;
                    /** @description The `next` of the page before. */
                    after?: number;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only entries of this principal. */
                    principal?: string;
                    /** @description Only entries about this target: an endpoint name, a digest, a pattern. */
                    target?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_AuditEntry"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/chain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Checks whether an entry of the audit log was changed, removed or inserted behind the server's back: each has a hash that covers the one before it. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description What was found */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["AuditChain"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bootstrap/claims": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The claims of devices that wait for an operator, or were accepted and are not configured yet. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_BootstrapClaim"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bootstrap/claims/{endpoint}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Removes the claim of a device, waiting or accepted. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no claim of this device */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bootstrap/claims/{endpoint}/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Accepts the claim of a device without credentials: its next request within a day is granted, if a configuration matches its name. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The claim is accepted */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BootstrapClaim"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No configuration matches its name */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bootstrap/configs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All configurations, ordered by pattern. Secrets are left out. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_BootstrapConfig"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Adds a configuration, or replaces the one with the same pattern. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["BootstrapConfig"];
                };
            };
            responses: {
                /** @description It is stored and takes effect */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BootstrapConfig"];
                    };
                };
                /** @description The configuration is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/bootstrap/configs/{pattern}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The configuration of a pattern. Secrets are left out. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    pattern: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The configuration */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BootstrapConfig"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no configuration with this pattern */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Removes a configuration. Devices that were configured with it don't change. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    pattern: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no configuration with this pattern */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The campaigns, the newest first. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Campaign"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Makes a campaign: a draft, which does nothing until it is started. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutCampaign"];
                };
            };
            responses: {
                /** @description An earlier request with this Idempotency-Key made it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The draft */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The plan can't be followed */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description A request with this Idempotency-Key is in progress */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One campaign. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Changes a campaign that has not started. */
        put: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutCampaign"];
                };
            };
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The plan can't be followed */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign, or no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has started */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a campaign that is a draft, or has ended. */
        delete: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is under way */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/abort": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends a campaign. Updates that are under way are cancelled. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has ended */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Approves the start of a campaign, or the gate of its open wave. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing waits for this approval */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The devices of a campaign, ordered by name. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only devices in this stage: "waiting", "updating", "confirmed", "had_it", "failed" or "skipped". */
                    stage?: string;
                };
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_CampaignDevice"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts no more updates until it is resumed. Those that are under way go on. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It does not run */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A report that a person reads, in Markdown. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Markdown */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/markdown": string;
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Goes on; with another image from the first wave on, for all devices. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ResumeCampaign"];
                };
            };
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign, or no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is not paused */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries the devices again that failed or were not tried. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has not started, or was aborted */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/{id}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts a campaign, at its time if it has one. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The campaign as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Campaign"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such campaign */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has started, or no device matches */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a campaign would do: how many devices, waves, and bytes. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutCampaign"];
                };
            };
            responses: {
                /** @description What it would do */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CampaignPreview"];
                    };
                };
                /** @description The plan can't be followed */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/campaigns/rehearse": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Plays a campaign on simulated devices: when its waves would open and pass, where it would stop and why, how many bytes it takes, and when it would
         *     end. It changes nothing. One rehearsal is under way at a time.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RehearseCampaign"];
                };
            };
            responses: {
                /** @description What would happen */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CampaignRehearsal"];
                    };
                };
                /** @description The plan can't be followed, or the devices can't be so */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Another rehearsal is under way */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/credentials": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The credentials, the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: number;
                    /** @description Only of this device. */
                    endpoint?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only for this server. */
                    purpose?: components["schemas"]["CredentialPurpose"];
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Credential"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Adds a credential of a device. Adding the same one again is no error. Without `key` the server makes one for a psk, and returns it only in this answer. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AddCredential"];
                };
            };
            responses: {
                /** @description It existed already, or an earlier request with this Idempotency-Key made it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewCredential"];
                    };
                };
                /** @description It is valid from now on */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewCredential"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The device has a credential of this kind, or the identity belongs to another device */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/credentials/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One credential. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The credential */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Credential"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Removes a credential and ends the device's sessions. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/credentials/{id}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revokes a credential and ends the device's sessions. It stays, without its secret, so that the device is refused; to remove it, delete
         *     it.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is revoked */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Credential"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/credentials/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds the next credential after this one. Both are valid until the device first uses the new one; then the old one is removed. Unused next
         *     credentials stay valid, since the device may have one of them; there are at most eight.
         */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CredentialProof"];
                };
            };
            responses: {
                /** @description An earlier request with this Idempotency-Key made it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewCredential"];
                    };
                };
                /** @description The next credential */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewCredential"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is revoked, or the new identity belongs to another credential */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/credentials/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds the credentials of a CSV file, all or none. Line 1 names the columns: `endpoint,kind,identity,key,purpose`; the last three may be
         *     left out or empty if there is a default. `key` is the key of a psk, the SubjectPublicKeyInfo of an rpk, or the SHA-256 of the only valid
         *     certificate of an x509, in hexadecimal digits.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "text/csv": string;
                };
            };
            responses: {
                /** @description All are valid from now on */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Imported"];
                    };
                };
                /** @description Some lines are invalid, which the answer lists; nothing was added */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description A line conflicts with an existing credential; nothing was added */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/desired-states": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The desired states, by name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DesiredState"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/desired-states/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One desired state. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The desired state */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DesiredState"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is none with this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Makes a desired state, or replaces it. Its devices are asked at once, or when they can be reached. */
        put: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                    "If-None-Match"?: string | null;
                };
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutDesiredState"];
                };
            };
            responses: {
                /** @description The desired state as it is now; its counts come later */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DesiredState"];
                    };
                };
                /** @description The name, the filter or a setting is wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There are too many */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a desired state. Devices keep what they have. */
        delete: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is none with this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/desired-states/{name}/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The devices of a desired state, ordered by name. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only devices that are so far. */
                    progress?: components["schemas"]["DesiredProgress"];
                };
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DesiredDevice"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is none with this name */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/device-counts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How many devices there are of each state, manufacturer, model, firmware version or object, the most frequent first. */
        get: {
            parameters: {
                query: {
                    /** @description "state", "manufacturer", "model", "firmware" or "object". */
                    by: string;
                    /** @description Only devices that this filter matches. */
                    filter?: string;
                    /** @description Only devices that run this firmware version. */
                    firmware?: string;
                    /** @description Only devices of this manufacturer. */
                    manufacturer?: string;
                    /** @description Only devices of this model. */
                    model?: string;
                    /** @description Only devices that are registered with this object, as in "3303". */
                    object?: number;
                    /** @description Only devices in one of these states, as in "online,asleep". */
                    state?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The 1000 most frequent */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DeviceCount"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/device-matches": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a filter matches: how many devices, and the first of them. */
        get: {
            parameters: {
                query: {
                    /** @description The filter. */
                    filter: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description What it matches */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["FilterMatch"];
                    };
                };
                /** @description The filter is wrong; `position` says where */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The devices that are registered or were, ordered by name. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: string;
                    /** @description Only devices that this filter matches, as in `model = "buoy-3" and not seen for 2d`. */
                    filter?: string;
                    /** @description Only devices that run this firmware version. */
                    firmware?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only devices of this manufacturer. */
                    manufacturer?: string;
                    /** @description Only devices of this model. */
                    model?: string;
                    /** @description Only devices that are registered with this object, as in "3303". */
                    object?: number;
                    /** @description Only endpoint names with this beginning. */
                    prefix?: string;
                    /** @description Only devices in one of these states, as in "online,asleep". */
                    state?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Device"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Notes what is known of many devices; those that are not known are expected from now on. All or none. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ImportDevices"];
                };
            };
            responses: {
                /** @description What became of them */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ImportedDevices"];
                    };
                };
                /** @description A device is wrong; nothing was noted */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One device. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The device */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Device"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Removes a device that is not registered, with its description. Its values and its credentials stay. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is registered */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        /** Changes what is noted of a device: tags, groups, fields of the operators' own, notes. */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ChangeDevice"];
                };
            };
            responses: {
                /** @description The device as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Device"];
                    };
                };
                /** @description A tag, a group, a field or the notes are wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/bring-back": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Brings a device back that was taken out of service. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The device as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Device"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is in service, or another device took its place */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/desired-state": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is wanted of a device, from where that comes, and what is so. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list; empty if nothing is wanted of it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DeviceSetting"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/desired-state/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries again what was given up on a device. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The settings as they are now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DeviceSetting"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No desired state is for this device */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing was given up */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/merge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives the record of a device whose board was replaced to the device that took its place: tags, groups, fields, notes and history. The credentials
         *     of the old board are revoked, and it is out of service. This can't be undone.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["MergeDevice"];
                };
            };
            responses: {
                /** @description The device that has the record now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Device"];
                    };
                };
                /** @description The name is not repeated, or both are the same device */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It was merged before, or the other device is out of service */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/objects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The objects of a device, with the definitions of their resources. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_DeviceObject"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/observations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The observations of a device. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Observation"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is registered */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/retire": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Takes a device out of service. Its record is kept, its credentials are refused until it is brought back, and filters match it only if they ask
         *     for its state.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The device as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Device"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It is out of service */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/series": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The paths of a device that have stored values. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_String"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/series/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The values of a resource over time, or, with `step`, their summaries. */
        get: {
            parameters: {
                query?: {
                    /** @description From this time on; milliseconds since the epoch. */
                    from?: number;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Returns one summary for each interval of this many milliseconds, instead of the values. */
                    step?: number;
                    /** @description Before this time; milliseconds since the epoch. */
                    to?: number;
                };
                header?: never;
                path: {
                    endpoint: string;
                    /** @description A path, for example 3303/0/5700 */
                    path: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page of values; with `step`, all summaries */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Sample"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/trace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The CoAP messages of a registered device from now on: what it sends, and what is sent to it, after decryption. They can have secrets in them,
         *     as in a write.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Server-sent events named `message`; the data of each is a TracedMessage */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": components["schemas"]["TracedMessage"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/values": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The last values of a device's resources. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list, by path */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_LastValue"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/{endpoint}/why": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is wrong with a device, with what shows it and what to do next; and if nothing is, that. Names that only tried to come in are
         *     explained, too.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    endpoint: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description What is wrong, the most severe first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Why"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is known, and nobody has tried it */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/devices/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The same with a CSV file (RFC 4180). Line 1 names the columns: `endpoint`, and any of `tags`, `groups`, `notes` and `field.NAME`. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "text/csv": string;
                };
            };
            responses: {
                /** @description What became of them */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ImportedDevices"];
                    };
                };
                /** @description A line is wrong; nothing was noted */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Events from now on, or all events after the one in `Last-Event-ID`. */
        get: {
            parameters: {
                query?: {
                    /** @description Only events of this device. */
                    endpoint?: string;
                    /** @description With `false` the stream ends with the last event that there is. */
                    follow?: boolean;
                    /**
                     * @description Begins with the events since this time, as far as they are stored: RFC 3339, or milliseconds since the epoch. `missed` comes first if some
                     *     are not.
                     */
                    since?: string;
                    /** @description Only events of these types, separated by commas. */
                    types?: string;
                };
                header?: {
                    /** @description The id of the last received event */
                    "Last-Event-ID"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Server-sent events; the data of each is a TimedEvent */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": components["schemas"]["TimedEvent"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/filters": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The saved filters, by name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_SavedFilter"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/filters/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Saves a filter under a name. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutFilter"];
                };
            };
            responses: {
                /** @description The filter */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SavedFilter"];
                    };
                };
                /** @description The name or the filter is wrong */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a saved filter. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such filter */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/firmware": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All images, the newest first. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Firmware"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Uploads an image. If the same bytes are uploaded again, the image keeps its first name. */
        post: {
            parameters: {
                query?: {
                    /** @description The operator's name for it. */
                    name?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/octet-stream": number[];
                };
            };
            responses: {
                /** @description It is in the library */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Firmware"];
                    };
                };
                /** @description It is empty, too large or damaged */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Its Content-Type is not application/octet-stream */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It can't be stored */
                507: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/firmware/{digest}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One image. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    digest: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The image */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Firmware"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No image has this digest */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Deletes an image. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    digest: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description An open update needs it */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/firmware/{digest}/signature": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Adds a detached signature to an image. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    digest: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/octet-stream": number[];
                };
            };
            responses: {
                /** @description The signature is added */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Firmware"];
                    };
                };
                /** @description It is not a signature, or none of the server's release keys verifies it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The groups, by name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Group"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One group. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The group */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Group"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such group */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        /** Makes a group, or changes what it is. */
        put: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                    "If-None-Match"?: string | null;
                };
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PutGroup"];
                };
            };
            responses: {
                /** @description The group as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Group"];
                    };
                };
                /** @description The name or the filter is wrong, or groups refer to each other in a circle */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such parent */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /** Removes a group. Its devices stay. */
        delete: {
            parameters: {
                query?: never;
                header?: {
                    "If-Match"?: string | null;
                };
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such group */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Another group refers to it */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description If-Match is not its revision */
                412: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{name}/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts devices into a group, and takes others out of it: all or none. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    name: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ChangeGroupDevices"];
                };
            };
            responses: {
                /** @description The group as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Group"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such group, or no such device */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The jobs, the newest first. With roles for groups, those that one made. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Job"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Gives a command to all devices that a filter matches now and that one may command. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["StartJob"];
                };
            };
            responses: {
                /** @description An earlier request with this Idempotency-Key made it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Job"];
                    };
                };
                /** @description It has begun; Location has its URL */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Job"];
                    };
                };
                /** @description The filter, the command or a limit is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device matches, another number of devices matches, there are too many jobs, or a request with this Idempotency-Key is in progress */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One job, with the reasons of its failures. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The job */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Job"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such job */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Removes a job that has ended. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such job */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has not ended */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends a job: no more devices get its command. What was sent already they may still carry out. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The job as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Job"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such job */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has ended */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/devices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The devices of a job, ordered by name. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                    /** @description Only devices in this stage: "waiting", "sent", "asleep", "confirming", "succeeded", "failed", "not_reached" or "cancelled". */
                    stage?: string;
                };
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_JobDevice"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such job */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Gives the command again to devices on which the job failed, or which it did not reach. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RetryJob"];
                };
            };
            responses: {
                /** @description The job as it is now */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Job"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such job */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device failed, it is being cancelled, or the deadline has passed */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a job would do. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["StartJob"];
                };
            };
            responses: {
                /** @description What it would do */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["JobPreview"];
                    };
                };
                /** @description The filter, the command or a limit is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who sends this request, and what it may do. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The author of this request */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Me"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Changes the password of the own account. Its other sign-ins end. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ChangePassword"];
                };
            };
            responses: {
                /** @description It is changed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The new password can't be one */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Prepares a second factor (TOTP, RFC 6238). It counts when a code of it was confirmed. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The secret for an authenticator */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SecondFactor"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The account has a second factor */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me/second-factor/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Confirms the second factor that was prepared, by a code of it. From now on each sign-in needs one. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ConfirmSecondFactor"];
                };
            };
            responses: {
                /** @description Codes for when the authenticator is lost; they are shown this once */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RecoveryCodes"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description None is prepared, or the code is wrong */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me/second-factor/remove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Removes the second factor of the own account. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RemoveSecondFactor"];
                };
            };
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The account has none */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description OpenAPI 3.1 */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/operations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The operations, the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: number;
                    /** @description Only operations that have ended (true), or have not (false). */
                    ended?: boolean;
                    /** @description Only of this device. */
                    endpoint?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Operation"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Starts an operation on a device, and waits a while for its answer. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["StartOperation"];
                };
            };
            responses: {
                /** @description It has ended, or an earlier request with this Idempotency-Key made it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Operation"];
                    };
                };
                /** @description It has not ended; Location has its URL */
                202: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Operation"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No device of this name is registered */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description A request with this Idempotency-Key is in progress */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/operations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One operation, with the device's answer. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The operation */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Operation"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Cancels an operation. If it was sent already, the device may still execute it. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is cancelled */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Operation"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It has ended already */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/series": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The values of one resource of many devices over time, device by device, the oldest value first. */
        get: {
            parameters: {
                query: {
                    /** @description The devices, separated by commas. */
                    endpoints?: string;
                    /** @description In place of names: the devices that this filter matches. */
                    filter?: string;
                    /** @description "jsonl", which is the default, or "csv". */
                    format?: "jsonl" | "csv";
                    /** @description From this time on: RFC 3339, as in "2026-12-01T08:00:00Z", or milliseconds since the epoch. */
                    from?: string;
                    /** @description The path of the resource, as in "/3303/0/5700". */
                    path: string;
                    /** @description Before this time. */
                    to?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A line for each value */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/jsonl": components["schemas"]["DeviceSample"];
                        "text/csv": string;
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/setup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the server has no account yet. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description What a page needs to know before a sign-in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SetupState"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Makes the first account, an admin, by the one-time token that the server printed at its start; and signs in. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Setup"];
                };
            };
            responses: {
                /** @description The account is made. Set-Cookie has the sign-in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Me"];
                    };
                };
                /** @description The name or the password is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The token is wrong, or there is an account already */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sign-in": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Signs in by name, password, and the code of the second factor if the account has one. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["SignIn"];
                };
            };
            responses: {
                /** @description Set-Cookie has the sign-in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Me"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The name, the password or the code is wrong; or a code is needed, which the title says */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sign-in/link": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Signs in by the one-time token of a link, which an admin made. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["SignInByLink"];
                };
            };
            responses: {
                /** @description Set-Cookie has the sign-in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Me"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The account got a second factor since */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The link was used, is too old, or is none */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There were too many attempts; Retry-After has the seconds to wait */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sign-out": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends the sign-in of the request's cookie. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The sign-in is ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request has no cookie of a sign-in */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The tokens of the own account; for admins, of all accounts. Their secrets are not in it. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The whole list */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Token"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Makes a token of the own account. Its secret is in this answer alone. A token can't make tokens. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AddToken"];
                };
            };
            responses: {
                /** @description The token with its secret */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewToken"];
                    };
                };
                /** @description The name, a grant or the lifetime is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The account has as many tokens as it may have */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Removes a token: one of the own account, or for admins any. It counts no more. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is removed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such token, or it belongs to another account */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store can't be written now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/updates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The updates, the newest first. */
        get: {
            parameters: {
                query?: {
                    /** @description The `next` of the page before. */
                    after?: number;
                    /** @description Only of this device. */
                    endpoint?: string;
                    /** @description 1 to 1000; the default is 100. */
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Page_Update"];
                    };
                };
                /** @description A query parameter is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /** Starts the update of a device. It has succeeded when the device reports the new version after its reboot. */
        post: {
            parameters: {
                query?: never;
                header?: {
                    "Idempotency-Key"?: string | null;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["StartUpdate"];
                };
            };
            responses: {
                /** @description An earlier request with this Idempotency-Key made this update */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Update"];
                    };
                };
                /** @description It has started */
                202: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Update"];
                    };
                };
                /** @description The request is invalid */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description There is no such image, or no such device */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description An update of the device is open */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The body is of another type */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/updates/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One update. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The update */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Update"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Nothing has this id */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Cancels an open update. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description It is cancelled */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Update"];
                    };
                };
                /** @description The request is not as this description has it */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description It needs a sign-in, or the token does not count */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The author may not do this */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description No update with this id is open */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description The store fails, or the server is stopping */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description The account of a person. */
        Account: {
            /**
             * Format: int64
             * @description When it was made.
             */
            created_at: number;
            /** @description Whether it may not sign in, and its tokens don't count. */
            disabled: boolean;
            /** @description Whether an identity provider signs it in; it has no password then. */
            external?: boolean;
            /** @description What it may do. */
            grants: components["schemas"]["Grant"][];
            /**
             * Format: int64
             * @description When it last signed in.
             */
            last_sign_in?: number | null;
            /** @description Its name. */
            name: string;
            /** @description Whether it signs in with a one-time code as well. */
            second_factor: boolean;
        };
        /** @description Of which alerts somebody takes note. */
        AcknowledgeAlerts: {
            /** @description What there is to say. */
            comment?: string;
            /** @description Their rule. */
            rule: string;
            /** @description The device or the part of the server; all alerts of the rule that fire without it. */
            subject?: string | null;
        };
        /** @description How many alerts somebody took note of. */
        AcknowledgedAlerts: {
            /**
             * Format: int64
             * @description So many.
             */
            acknowledged: number;
        };
        /** @description Makes an account. */
        AddAccount: {
            /** @description What it may do. */
            grants: components["schemas"]["Grant"][];
            /** @description Its name: 1 to 64 letters, digits, and `.`, `-`, `_`, `@`. */
            name: string;
            /** @description Its password: 12 to 1024 bytes. */
            password: components["schemas"]["Secret"];
        };
        /** @description A new silence. */
        AddAlertSilence: {
            /** @description Why. */
            comment: string;
            /** @description Only alerts of devices that this filter matches. */
            filter?: string | null;
            /**
             * Format: int64
             * @description From when; from now on without it.
             */
            from?: number | null;
            /** @description Only alerts of this rule. */
            rule?: string | null;
            /**
             * Format: int64
             * @description Until when.
             */
            until: number;
        };
        /** @description A credential to add. */
        AddCredential: {
            /** @description The device. */
            endpoint: string;
            /** @description The credential itself. */
            proof: components["schemas"]["CredentialProof"];
            /** @description The server for which it is valid. */
            purpose?: components["schemas"]["CredentialPurpose"];
        };
        /** @description Makes an API token of one's own account. */
        AddToken: {
            /**
             * Format: int64
             * @description After how many seconds it stops to count; absent if never.
             */
            expires_in?: number | null;
            /** @description What it may do, at most what its account may; absent for all of that. */
            grants?: components["schemas"]["Grant"][] | null;
            /** @description Its name, for example that of the program. */
            name: string;
        };
        /** @description An alert. */
        Alert: {
            acknowledged?: components["schemas"]["AlertAcknowledgement"] | null;
            /** @description What is known besides. */
            detail?: string;
            /**
             * Format: int64
             * @description When it was over.
             */
            ended_at?: number | null;
            /** @description The device, if it is about one. */
            endpoint?: string | null;
            /** @description The part of the server, if it is about the server. */
            part?: string | null;
            /** @description Its rule. */
            rule: string;
            /** @description How bad it is. */
            severity: components["schemas"]["AlertSeverity"];
            /** @description Whether receivers are not told of it, since it is silenced. */
            silenced?: boolean;
            /**
             * Format: int64
             * @description Since when its condition holds, or for one that fires, since when it fires.
             */
            since: number;
            /** @description Where it is. */
            state: components["schemas"]["AlertState"];
        };
        /** @description A person took note of an alert. */
        AlertAcknowledgement: {
            /**
             * Format: int64
             * @description When.
             */
            at: number;
            /** @description Who. */
            by: string;
            /** @description What that person wrote. */
            comment?: string;
        };
        /** @description What a rule looks for. Times are in seconds. */
        AlertCondition: {
            /** @description In the filter language. */
            filter: string;
            /** @enum {string} */
            kind: "filter";
        } | {
            /**
             * Format: int64
             * @description It is over after this time, too.
             */
            clears_after?: number;
            /** @description Of which devices; of all if it is empty. */
            filter?: string;
            /** @enum {string} */
            kind: "update_failed";
        } | {
            /** @description Of which devices; of all if it is empty. */
            filter?: string;
            /** @enum {string} */
            kind: "reboot_loop";
            /**
             * Format: int32
             * @description So many registrations, 2 to 32,
             */
            times?: number;
            /**
             * Format: int64
             * @description within so many seconds.
             */
            within?: number;
        } | {
            /**
             * Format: int32
             * @description In percent.
             */
            free_percent?: number;
            /** @enum {string} */
            kind: "disk";
        } | {
            /** @enum {string} */
            kind: "store";
        } | {
            /**
             * Format: int32
             * @description So many days before.
             */
            days?: number;
            /** @enum {string} */
            kind: "certificate";
        };
        /** @description A message to a receiver. */
        AlertDelivery: {
            /**
             * Format: int32
             * @description How often it was sent.
             */
            attempts: number;
            /**
             * Format: int64
             * @description When it was made.
             */
            created_at: number;
            /**
             * Format: int64
             * @description When it was accepted, or given up.
             */
            ended_at?: number | null;
            /** @description Why it was not accepted. */
            error?: string;
            /**
             * Format: int64
             * @description Alerts that fire,
             */
            firing: number;
            /**
             * Format: int64
             * @description that flap,
             */
            flapping: number;
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /**
             * Format: int64
             * @description When it is sent next.
             */
            next_attempt?: number | null;
            /** @description To whom. */
            receiver: string;
            /**
             * Format: int64
             * @description and that are over.
             */
            resolved: number;
            /** @description Of which rule. */
            rule: string;
            /** @description Where it is. */
            state: components["schemas"]["AlertDeliveryState"];
        };
        /**
         * @description Where a message is.
         * @enum {string}
         */
        AlertDeliveryState: "waiting" | "delivered" | "dead";
        /** @description A subject whose alert fires so often flaps: receivers are told that once. */
        AlertFlapping: {
            /**
             * Format: int32
             * @description So many times, 2 to 32,
             */
            times: number;
            /**
             * Format: int64
             * @description within so many seconds. It flaps until nothing changes for as long.
             */
            within: number;
        };
        /** @description What a webhook gets. The header `Buoy-Signature` has the time and the signature. */
        AlertMessage: {
            /** @description The alerts, at most 100. */
            alerts: components["schemas"]["AlertNews"][];
            /** @description What the rule means. */
            description: string;
            /**
             * Format: int64
             * @description Alerts that fire,
             */
            firing: number;
            /**
             * Format: int64
             * @description that flap,
             */
            flapping: number;
            /**
             * Format: int64
             * @description The id of the message: the same if it is sent again.
             */
            id: number;
            /**
             * Format: int64
             * @description Alerts that are not in the list.
             */
            more: number;
            /**
             * Format: int64
             * @description and that are over.
             */
            resolved: number;
            /** @description The rule. */
            rule: string;
            /** @description How bad it is. */
            severity: components["schemas"]["AlertSeverity"];
            /** @description "alert", or "test". */
            type: string;
        };
        /** @description A change of an alert. */
        AlertNews: {
            /**
             * Format: int64
             * @description When it changed.
             */
            at: number;
            /** @description What is known besides. */
            detail?: string;
            /** @description The device, if it is about one. */
            endpoint?: string | null;
            /** @description The part of the server, if it is about the server. */
            part?: string | null;
            /**
             * Format: int64
             * @description Since when it fires.
             */
            since: number;
            /** @description Where it is: "firing", "flapping" or "resolved". */
            state: components["schemas"]["AlertState"];
        };
        /** @description A receiver. Secrets are not shown. */
        AlertReceiver: {
            /**
             * Format: int64
             * @description When a message was last accepted, since the server started.
             */
            accepted_at?: number | null;
            /**
             * Format: int64
             * @description Messages that were given up.
             */
            dead: number;
            /** @description Why the last attempt failed, if it did. */
            error?: string;
            /**
             * Format: int64
             * @description After how long a message that is not accepted is given up; seconds.
             */
            give_up_after: number;
            /**
             * Format: int64
             * @description For how long a message waits for more alerts of its rule; seconds.
             */
            group_wait: number;
            /** @description "webhook", "slack", "email", "mqtt" or "nats". */
            kind: string;
            /** @description Its name. */
            name: string;
            settings?: components["schemas"]["AlertTarget"] | null;
            /** @description It is told of alerts that are at least so bad. */
            severity: components["schemas"]["AlertSeverity"];
            /** @description Where it is, without what is secret. */
            target: string;
            /**
             * Format: int64
             * @description Messages that wait.
             */
            waiting: number;
        };
        /** @description How the test of a receiver ended. */
        AlertReceiverTest: {
            /** @description Whether it accepted the message. */
            accepted: boolean;
            /** @description What it answered, or why it could not be reached. */
            detail: string;
        };
        /** @description A rule, and how many alerts it has. */
        AlertRule: {
            /** @description What it looks for. */
            condition: components["schemas"]["AlertCondition"];
            /** @description What it means, and what to do. */
            description?: string;
            /** @description When a subject is said to flap. */
            flapping?: components["schemas"]["AlertFlapping"];
            /**
             * Format: int64
             * @description For how long the condition has to hold before the alert fires.
             */
            for?: number;
            /** @description Who is told; all receivers if it is empty. */
            receivers?: string[];
            /**
             * Format: int64
             * @description After how long receivers are told again of an alert that nobody took note of; never without it.
             */
            repeat?: number | null;
            /**
             * Format: int64
             * @description For how long the condition must not hold before the alert is over.
             */
            resolve_after?: number;
            /** @description How bad it is. */
            severity?: components["schemas"]["AlertSeverity"];
        } & {
            /** @description Why its filter can't be used any more. */
            fault?: string | null;
            /**
             * Format: int64
             * @description Alerts that fire.
             */
            firing: number;
            /** @description Whether there are more subjects than can be followed. */
            is_full?: boolean;
            /** @description Its name. */
            name: string;
        };
        /**
         * @description How bad it is.
         * @enum {string}
         */
        AlertSeverity: "info" | "warning" | "critical";
        /** @description A silence: receivers are not told of some alerts for a time. */
        AlertSilence: {
            /** @description Whether it counts now. */
            active: boolean;
            /** @description Who made it. */
            author: string;
            /** @description Why. */
            comment: string;
            /** @description Only alerts of devices that this filter matches. */
            filter?: string | null;
            /**
             * Format: int64
             * @description From when.
             */
            from: number;
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description Only alerts of this rule. */
            rule?: string | null;
            /**
             * Format: int64
             * @description Until when.
             */
            until: number;
        };
        /**
         * @description Where an alert is.
         * @enum {string}
         */
        AlertState: "pending" | "firing" | "flapping" | "resolved";
        /** @description Where a receiver is, and what it takes. */
        AlertTarget: {
            /** @enum {string} */
            kind: "webhook";
            /**
             * @description With which messages are signed (HMAC-SHA256), at least 16 characters. Without it a receiver keeps the one that it has at this URL, or gets
             *     a random one, which is shown once.
             */
            secret?: string | null;
            /** @description `https://` or `http://`. It may hold secrets, and is shown without its path. */
            url: string;
        } | {
            /** @enum {string} */
            kind: "slack";
            /** @description `https://` or `http://`. It is a secret, and is shown without its path. */
            url: string;
        } | {
            /** @description From whom it comes. */
            from: string;
            /** @enum {string} */
            kind: "email";
            /** @description Its password. Without it a receiver keeps the one that it has for this server and this name. */
            password?: string | null;
            /** @description `smtps://HOST[:PORT]` is TLS from the start, `smtp://HOST[:PORT]` is STARTTLS, which is required; `smtp+plain://HOST[:PORT]` is without TLS. */
            server: string;
            /** @description To whom it goes. */
            to: string[];
            /** @description With which to sign in. */
            user?: string | null;
        } | {
            /** @enum {string} */
            kind: "mqtt";
            /** @description Its password. Without it a receiver keeps the one that it has for this server and this name. */
            password?: string | null;
            /** @description `mqtts://HOST[:PORT]` is TLS, `mqtt://HOST[:PORT]` is without. */
            server: string;
            /** @description The topic. */
            topic: string;
            /** @description With which to sign in. */
            user?: string | null;
        } | {
            /** @enum {string} */
            kind: "nats";
            /** @description Its password. Without it a receiver keeps the one that it has for this server and this name. */
            password?: string | null;
            /** @description `tls://HOST[:PORT]` is TLS, `nats://HOST[:PORT]` is without. */
            server: string;
            /** @description The subject. */
            subject: string;
            /** @description With which to sign in. */
            user?: string | null;
        };
        /** @description The state of the audit log's hash chain. */
        AuditChain: {
            /**
             * Format: int64
             * @description How many entries were checked.
             */
            entries: number;
            /** @description What was found, if anything. */
            faults: string[];
            /** @description The hash of the last entry, which covers all entries before it. */
            head: string;
            /** @description Whether no entry was changed, removed or inserted. */
            intact: boolean;
            /**
             * Format: int64
             * @description The id of the last entry.
             */
            last: number;
            /**
             * Format: int64
             * @description How many entries before them are of a version that made no hashes.
             */
            without_hash: number;
        };
        /** @description An entry of the audit log. */
        AuditEntry: {
            /** @description The action, for example "credential.revoke". */
            action: string;
            /**
             * Format: int64
             * @description The time.
             */
            at: number;
            /** @description Further details. */
            detail: string;
            /**
             * Format: int64
             * @description Ids grow.
             */
            id: number;
            /** @description The address of the principal; empty for the server itself. */
            origin: string;
            /** @description The author. */
            principal: string;
            /** @description "ok", or the reason of the refusal. */
            result: string;
            /** @description The target: an endpoint name, a digest, a pattern. */
            target: string;
        };
        /** @description The account of a bootstrap server. */
        BootstrapAccount: {
            /**
             * Format: int32
             * @description Seconds after which the device removes this account.
             */
            account_timeout?: number | null;
            /** @description The device's credentials for this server. */
            credentials: components["schemas"]["BootstrapCredentials"];
            /**
             * Format: int32
             * @description Seconds that the device waits before it sends a Bootstrap-Request.
             */
            hold_off?: number | null;
            /** @description The URI, for example `coaps://bootstrap.example.org:5784`. */
            uri: string;
        };
        /** @description The access rights to an object instance. */
        BootstrapAcl: {
            /**
             * Format: int32
             * @description Its instance; 65535 for the right to create one.
             */
            instance: number;
            /**
             * Format: int32
             * @description The object.
             */
            object: number;
            /**
             * Format: int32
             * @description The short id of the server that may change this; 65535 for none.
             */
            owner: number;
            /** @description The rights by short server id: the sum of 1 read, 2 write, 4 execute, 8 delete, 16 create. 0 stands for all others. */
            rights?: {
                [key: string]: number;
            };
        };
        /** @description The request of a device without credentials, for which no configuration names exactly this device. */
        BootstrapClaim: {
            /**
             * Format: int64
             * @description When an operator accepted it.
             */
            accepted_at?: number | null;
            /** @description The address of its last request. */
            address: string;
            /** @description The endpoint name in its request. */
            endpoint: string;
            /**
             * Format: int64
             * @description The time of its first request.
             */
            first_asked: number;
            /**
             * Format: int64
             * @description The time of its last request.
             */
            last_asked: number;
        };
        /**
         * @description The configuration of devices whose names match a pattern. If several patterns match, the one with the most characters other than `*`
         *     is used. `{endpoint}` in a text is replaced by the device's name.
         */
        BootstrapConfig: {
            /** @description Instances of the access control object. */
            acls?: components["schemas"]["BootstrapAcl"][];
            bootstrap_server?: components["schemas"]["BootstrapAccount"] | null;
            /**
             * Format: int64
             * @description When it was last changed. Ignored in requests.
             */
            changed_at?: number | null;
            /** @description Paths that the device deletes first: "/", objects or instances. */
            delete?: string[];
            /** @description A name, in which `*` stands for any text. */
            pattern: string;
            /** @description The LwM2M servers at which the device is to register. */
            servers: components["schemas"]["BootstrapServer"][];
            /** @description Resources of other objects. */
            writes?: components["schemas"]["BootstrapWrite"][];
        };
        /** @description A device's credentials for a server. Keys are in hexadecimal digits. Secrets are only in requests, never in answers. */
        BootstrapCredentials: "mint_psk" | {
            /** @description This shared key. */
            psk: {
                /** @description The identity, as text. */
                identity: string;
                /** @description The key. */
                key?: string;
            };
        } | {
            /** @description These raw public keys. */
            rpk: {
                /** @description The device's private key (PKCS#8). */
                private_key?: string;
                /** @description The device's SubjectPublicKeyInfo. */
                public_key: string;
                /** @description The server's SubjectPublicKeyInfo; the default is this server's own. */
                server_public_key?: string | null;
            };
        } | {
            /** @description These certificates. */
            x509: {
                /** @description The device's certificate (DER). */
                certificate: string;
                /** @description The device's private key (PKCS#8). */
                private_key?: string;
                /** @description The server's certificate (DER); the default is this server's own. */
                server_certificate?: string | null;
            };
        } | "none";
        /** @description A server at which the device is to register. */
        BootstrapServer: {
            /** @description The binding, for example "U" or "UQ". */
            binding?: string;
            /** @description Whether the device requests a new bootstrap when it can't register there. */
            bootstrap_on_failure?: boolean | null;
            /** @description The device's credentials for this server. */
            credentials?: components["schemas"]["BootstrapCredentials"];
            /**
             * Format: int32
             * @description The default `pmax`, in seconds.
             */
            default_pmax?: number | null;
            /**
             * Format: int32
             * @description The default `pmin`, in seconds.
             */
            default_pmin?: number | null;
            /**
             * Format: int32
             * @description How long the server stays disabled after Disable, in seconds.
             */
            disable_timeout?: number | null;
            /**
             * Format: int32
             * @description Lifetime of the registration in seconds.
             */
            lifetime?: number;
            /**
             * Format: int32
             * @description Its short server id, 1 to 65534.
             */
            short_server_id?: number;
            /** @description Whether the device stores notifications while it is offline. */
            store_notifications?: boolean | null;
            /** @description The URI, for example `coaps://lwm2m.example.org:5684`; the default is this server's own. */
            uri?: string | null;
        };
        /** @description A value with its type. */
        BootstrapValue: {
            /** @description Text. */
            string: string;
        } | {
            /**
             * Format: int64
             * @description A whole number.
             */
            integer: number;
        } | {
            /**
             * Format: double
             * @description A number.
             */
            float: number;
        } | {
            /** @description True or false. */
            boolean: boolean;
        } | {
            /** @description Bytes, in hexadecimal digits. */
            opaque: string;
        } | {
            /**
             * Format: int64
             * @description Seconds since 1970.
             */
            time: number;
        };
        /** @description A resource of an object other than 0, 1 and 2. */
        BootstrapWrite: {
            /** @description A resource or a resource instance, as in "/3/0/14". */
            path: string;
            /** @description Its value. */
            value: components["schemas"]["BootstrapValue"];
        };
        /** @description A campaign. */
        Campaign: {
            /** @description Who agreed to its start. */
            approvals?: string[];
            /** @description Who made it. */
            author: string;
            /** @description Whether it goes on when a person approves: its start, or the gate of its open wave. */
            awaits_approval: boolean;
            /** @description How many devices are where. */
            counts: components["schemas"]["CampaignCounts"];
            /**
             * Format: int64
             * @description When it was made.
             */
            created_at: number;
            /**
             * Format: int64
             * @description When it ended.
             */
            ended_at?: number | null;
            /** @description What happened, the oldest first. */
            events?: components["schemas"]["CampaignEvent"][];
            /** @description The kinds of failures, the most frequent first. */
            failures?: components["schemas"]["CampaignFailure"][];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description What was planned. */
            plan: components["schemas"]["PutCampaign"];
            /** @description Why it is there, if there is something to say. */
            reason?: string;
            /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
            revision?: string;
            /**
             * Format: int64
             * @description When it started.
             */
            started_at?: number | null;
            /** @description Where it is. */
            state: components["schemas"]["CampaignState"];
            /** @description The waves. */
            waves: components["schemas"]["CampaignWaveProgress"][];
        };
        /** @description How many devices are where. */
        CampaignCounts: {
            /**
             * Format: int64
             * @description They run the release, and have confirmed it.
             */
            confirmed: number;
            /**
             * Format: int64
             * @description They failed.
             */
            failed: number;
            /**
             * Format: int64
             * @description They ran it already.
             */
            had_it: number;
            /**
             * Format: int64
             * @description They run the version before again: the campaign stopped itself, and put them back.
             */
            put_back: number;
            /**
             * Format: int64
             * @description They are not tried.
             */
            skipped: number;
            /**
             * Format: int64
             * @description Their updates are under way.
             */
            updating: number;
            /**
             * Format: int64
             * @description They wait.
             */
            waiting: number;
        };
        /**
         * @description A day of the week.
         * @enum {string}
         */
        CampaignDay: "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";
        /** @description For how long devices may put the installation off, if they have the resources 11 and 13 of object 5. */
        CampaignDeferral: {
            /**
             * Format: int64
             * @description Seconds, at most 30 days; 0 forbids it.
             */
            at_most: number;
            /** @description How much it matters. */
            severity?: components["schemas"]["CampaignSeverity"];
        };
        /** @description What a campaign knows of one device. */
        CampaignDevice: {
            /**
             * Format: int32
             * @description Updates that ended.
             */
            attempts: number;
            /** @description Why it waits, failed or is not tried. */
            detail?: string;
            /** @description The device. */
            endpoint: string;
            /** @description The kind of failure. */
            failure?: string | null;
            /** @description "waiting", "updating", "confirmed", "had_it", "failed", "skipped", "going_back" or "put_back". */
            stage: string;
            /**
             * Format: int64
             * @description Its update, while it is under way.
             */
            update?: number | null;
            /**
             * Format: int64
             * @description Its wave, from 1.
             */
            wave: number;
        };
        /** @description Something that happened in a campaign. */
        CampaignEvent: {
            /**
             * Format: int64
             * @description When.
             */
            at: number;
            /** @description What, in words. */
            text: string;
        };
        /** @description A kind of failure. */
        CampaignFailure: {
            /**
             * Format: int64
             * @description How many devices.
             */
            count: number;
            /** @description What happened to one of them, in words. */
            example: string;
            /** @description Which: "rolled_back", "unexpected_version", "refused", "failed", "timed_out", "cancelled", "unhealthy" or "not_put_back". */
            kind: string;
        };
        /** @description What has to be so before the next wave opens. */
        CampaignGate: {
            /**
             * @description And match this filter then. They have to be registered in any case.
             * @default null
             */
            healthy: string | null;
            /**
             * @description And a person says yes.
             * @default false
             */
            manual: boolean;
            /**
             * Format: int64
             * @description For so long; seconds.
             * @default 0
             */
            soak: number;
            /**
             * Format: double
             * @description So many of its devices run the release, in percent.
             * @default 90
             */
            success: number;
        };
        /** @description Devices that a release is not for. */
        CampaignIncompatible: {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /** @description One of them. */
            example: string;
            /** @description Why. */
            reason: string;
        };
        /**
         * @description What a campaign does when it stops itself.
         * @enum {string}
         */
        CampaignOnStop: "pause" | "roll_back";
        /** @description What a campaign would do. */
        CampaignPreview: {
            /**
             * Format: int64
             * @description The bytes for all devices that do not have it.
             */
            bytes: number;
            /**
             * Format: int64
             * @description The bytes of the image.
             */
            bytes_per_device: number;
            /**
             * Format: int64
             * @description How many devices match.
             */
            devices: number;
            /** @description Some of the devices. */
            examples: string[];
            /**
             * Format: int64
             * @description Those that run the version already.
             */
            have_it: number;
            /**
             * Format: int64
             * @description Those that another update is under way of.
             */
            in_conflict: number;
            /**
             * Format: int64
             * @description Those that the release is not for: they are not updated.
             */
            incompatible: number;
            /** @description Why, the most frequent reason first. */
            incompatible_because?: components["schemas"]["CampaignIncompatible"][];
            /**
             * Format: int64
             * @description Those that are not registered now.
             */
            offline: number;
            /**
             * Format: int64
             * @description Those of which something is not known that is asked for, and that are updated all the same.
             */
            unknown: number;
            /** @description How many devices each wave would have. */
            waves: number[];
        };
        /** @description What came out of a rehearsal. Times are those that the campaign would have if it started now, or at its time. */
        CampaignRehearsal: {
            /**
             * Format: int64
             * @description How often a person has to say yes. In the rehearsal that costs no time.
             */
            asked_persons: number;
            /**
             * Format: int64
             * @description When it would start.
             */
            began: number;
            /**
             * Format: int64
             * @description Bytes of images that devices would take.
             */
            bytes: number;
            /** @description How many devices would be where. */
            counts: components["schemas"]["CampaignCounts"];
            /**
             * Format: int64
             * @description When it would end, or stop itself.
             */
            ended?: number | null;
            /** @description What would happen, the oldest first. */
            events: components["schemas"]["CampaignEvent"][];
            /** @description The kinds of failures, the most frequent first. */
            failures?: components["schemas"]["CampaignFailure"][];
            /** @description When these parts of all devices would have confirmed the release. */
            milestones: components["schemas"]["RehearsalMilestone"][];
            /** @description What the rehearsal can't show. */
            notes?: string[];
            /** @description Why, if there is something to say. */
            reason?: string;
            /** @description The report of the campaign, in Markdown, as it would be at the end. */
            report: string;
            /** @description How it ended. */
            verdict: components["schemas"]["RehearsalVerdict"];
            /** @description Its waves. */
            waves: components["schemas"]["RehearsedWave"][];
        };
        /**
         * @description What devices have to be. The chip, the project, the hardware revisions and the security counter that the image says are looked at in any case; the server
         *     knows of a device its object 3 and the fields `chip`, `project` and `security_counter` that are noted of it.
         */
        CampaignRequirements: {
            /**
             * @description The hardware version is one of these.
             * @default []
             */
            hardware: string[];
            /**
             * @description The device runs at least this version.
             * @default null
             */
            minimum_version: string | null;
            /**
             * @description The model is one of these.
             * @default []
             */
            models: string[];
            /**
             * @description What becomes of devices of which something is not known that is asked for.
             * @default allow
             */
            unknown: components["schemas"]["CampaignUnknown"];
        };
        /** @description How often a kind of failure is tried again. */
        CampaignRetry: {
            /**
             * Format: int64
             * @description After so many seconds.
             */
            after?: number;
            /** @description The kind of failure. */
            failure: components["schemas"]["CampaignRetryKind"];
            /**
             * Format: int32
             * @description How often; 0 is never.
             */
            times: number;
        };
        /**
         * @description A kind of failure that may be tried again.
         * @enum {string}
         */
        CampaignRetryKind: "rolled_back" | "unexpected_version" | "refused" | "failed" | "timed_out" | "cancelled";
        /**
         * @description How much an update matters (5/0/11).
         * @enum {string}
         */
        CampaignSeverity: "critical" | "mandatory" | "optional";
        /**
         * @description Where a campaign is.
         * @enum {string}
         */
        CampaignState: "draft" | "scheduled" | "preparing" | "running" | "paused" | "stopping" | "done" | "aborted";
        /** @description When a campaign pauses itself. */
        CampaignStop: {
            /**
             * Format: int64
             * @description When so many devices have failed.
             * @default null
             */
            failures: number | null;
            /**
             * Format: int64
             * @description and at least so many have ended.
             * @default 20
             */
            minimum: number;
            /**
             * Format: double
             * @description When this part of the devices that have ended has failed, in percent,
             * @default 5
             */
            rate: number | null;
        };
        /**
         * @description What becomes of devices of which something is not known that is asked for.
         * @enum {string}
         */
        CampaignUnknown: "allow" | "refuse";
        /** @description A part of the devices: by a filter, a number, or a part of all. */
        CampaignWave: {
            /**
             * Format: int64
             * @description So many.
             */
            count?: number | null;
            /** @description Those that this filter matches. */
            filter?: string | null;
            /** @description What has to be so before the next wave opens. */
            gate?: components["schemas"]["CampaignGate"];
            /**
             * Format: double
             * @description This part of all devices, in percent.
             */
            percent?: number | null;
        };
        /** @description A wave, and how far it is. */
        CampaignWaveProgress: {
            /** @description How many devices are where. */
            counts: components["schemas"]["CampaignCounts"];
            /** @description Whether its devices are updated. */
            open: boolean;
            /** @description Whether its gate is passed. */
            passed: boolean;
        };
        /** @description A maintenance window, in the time zone of each device. */
        CampaignWindow: {
            /** @description The days on which it opens; every day if there are none. */
            days?: components["schemas"]["CampaignDay"][];
            /** @description When it opens: a time of day as in 22:00. */
            from: string;
            /** @description When it closes, on that day or on the next. */
            to: string;
            /** @description The time zone of devices that do not tell theirs (3/0/15) and of which no field `timezone` is noted: a name of IANA as in Europe/Berlin. */
            zone?: string;
        };
        /** @description Changes an account. What is absent stays. */
        ChangeAccount: {
            /** @description Whether it may no longer sign in. If true, its sign-ins end. */
            disabled?: boolean | null;
            /** @description What it may do from now on. */
            grants?: components["schemas"]["Grant"][] | null;
            password?: components["schemas"]["Secret"] | null;
            /** @description `false` removes its second factor, which it lost. */
            second_factor?: boolean | null;
        };
        /** @description A change of what is noted of a device. What is absent stays as it is. */
        ChangeDevice: {
            /** @description Groups to put it into. They have to exist. */
            add_groups?: string[];
            /** @description Tags to add. */
            add_tags?: string[];
            /** @description Fields of the operators' own; `null` removes one. */
            fields?: {
                [key: string]: string | null;
            };
            /** @description Free text; an empty one removes it. */
            notes?: string | null;
            /** @description Groups to take it out of. */
            remove_groups?: string[];
            /** @description Tags to remove. */
            remove_tags?: string[];
            /** @description The tags, in place of those that it has. */
            tags?: string[] | null;
        };
        /** @description Devices to put into a group, and to take out of it. */
        ChangeGroupDevices: {
            /** @description Endpoint names to put into it. One that is not known is refused. */
            add?: string[];
            /** @description Endpoint names to take out of it. */
            remove?: string[];
        };
        /** @description Changes one's own password. */
        ChangePassword: {
            /** @description The password of now. */
            current: components["schemas"]["Secret"];
            /** @description The next one. */
            new: components["schemas"]["Secret"];
        };
        /** @description Confirms a second factor by a code of it. */
        ConfirmSecondFactor: {
            /** @description The code that the authenticator shows. */
            code: components["schemas"]["Secret"];
        };
        /** @description A credential of a device, without its secret. */
        Credential: {
            /**
             * Format: int64
             * @description When it was made.
             */
            created_at: number;
            /** @description The device. */
            endpoint: string;
            /** @description The SHA-256 of the only valid certificate, in hexadecimal digits; absent if any certificate with the device's name is valid. */
            fingerprint?: string | null;
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description The identity of a psk. */
            identity?: string | null;
            /** @description The kind. */
            kind: components["schemas"]["CredentialKind"];
            /** @description The key of an rpk: a DER SubjectPublicKeyInfo in hexadecimal digits. */
            public_key?: string | null;
            /** @description The server for which it is valid. */
            purpose: components["schemas"]["CredentialPurpose"];
            /** @description The state. */
            state: components["schemas"]["CredentialState"];
        };
        /**
         * @description The kind of a credential.
         * @enum {string}
         */
        CredentialKind: "psk" | "rpk" | "x509";
        /** @description The identity and the key of a credential. */
        CredentialProof: {
            /** @description A pre-shared key. */
            psk: {
                /** @description The identity. The default is the endpoint name, with random digits behind it for a next credential. */
                identity?: string | null;
                key?: components["schemas"]["Secret"] | null;
            };
        } | {
            /** @description A raw public key. */
            rpk: {
                /** @description A DER SubjectPublicKeyInfo in hexadecimal digits. */
                public_key: string;
            };
        } | {
            /** @description A certificate of an authority that the server trusts. */
            x509: {
                /** @description The SHA-256 of the only valid certificate, in hexadecimal digits. By default any certificate with the device's name is valid. */
                fingerprint?: string | null;
            };
        };
        /**
         * @description The server for which a credential is valid.
         * @enum {string}
         */
        CredentialPurpose: "lwm2m" | "bootstrap";
        /**
         * @description The state of a credential.
         * @enum {string}
         */
        CredentialState: "active" | "next" | "revoked";
        /**
         * @description How an image gets to a device.
         * @enum {string}
         */
        Delivery: "pull_coap" | "pull_http" | "pull_https" | "push";
        /**
         * @description Where a setting of a device is.
         * @enum {string}
         */
        DesiredCondition: "in_sync" | "unknown" | "differs" | "given_up";
        /** @description How far the devices of a desired state are. A device counts where the worst of the settings is that it has from this state. */
        DesiredCounts: {
            /**
             * Format: int64
             * @description Something was given up.
             */
            given_up: number;
            /**
             * Format: int64
             * @description All settings are as wanted.
             */
            in_sync: number;
            /**
             * Format: int64
             * @description Something is to be asked or written, when they can be reached.
             */
            pending: number;
        };
        /** @description One device of a desired state. */
        DesiredDevice: {
            /** @description The device. */
            endpoint: string;
            /** @description The path of the setting that is the farthest from it, if something is not as wanted. */
            path?: string | null;
            /** @description How far it is. */
            progress: components["schemas"]["DesiredProgress"];
            /** @description Why that was given up. */
            reason?: string;
        };
        /**
         * @description How far a device of a desired state is: where the worst of the settings is that it has from this state.
         * @enum {string}
         */
        DesiredProgress: "in_sync" | "pending" | "given_up";
        /** @description What is wanted of one path: a value, or to be observed. */
        DesiredSetting: {
            /** @description The attributes of the observation, as in `{"pmin": "10"}`. */
            attributes?: {
                [key: string]: string;
            };
            /** @description That it is observed. Then there is no value. */
            observe?: boolean;
            /** @description The path, as in "/1/0/1". */
            path: string;
            /** @description The value. */
            value?: unknown;
        };
        /** @description A desired state. */
        DesiredState: {
            /** @description How far its devices are. */
            counts: components["schemas"]["DesiredCounts"];
            /** @description Why its filter can't be used any more: it keeps the devices that it had. */
            fault?: string | null;
            /** @description Which devices. */
            filter: string;
            /** @description Its name. */
            name: string;
            /**
             * Format: int32
             * @description Its priority.
             */
            priority: number;
            /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
            revision?: string;
            /** @description What is wanted. */
            settings: components["schemas"]["DesiredSetting"][];
        };
        /** @description A device that is registered, or was. */
        Device: {
            /** @description The endpoint name. */
            endpoint: string;
            /** @description Fields of the operators' own. */
            fields?: {
                [key: string]: string;
            };
            /** @description The firmware version: /3/0/3. */
            firmware?: string | null;
            /**
             * Format: int64
             * @description When it first registered; 0 if it never did.
             */
            first_contact: number;
            /** @description The groups into which it was put. */
            groups?: string[];
            /** @description The hardware version: /3/0/18. */
            hardware?: string | null;
            /**
             * Format: int64
             * @description When it last sent something; 0 if it never did.
             */
            last_contact: number;
            /** @description The manufacturer: /3/0/0. */
            manufacturer?: string | null;
            /** @description The model number: /3/0/1. */
            model?: string | null;
            /**
             * Format: int64
             * @description When it is expected to be heard next, learned from its contacts; absent as long as that is not known.
             */
            next_contact?: number | null;
            /** @description Free text. */
            notes?: string;
            /**
             * Format: int64
             * @description Since when it is overdue: it was not heard for clearly longer than it usually is silent.
             */
            overdue_since?: number | null;
            registration?: components["schemas"]["Registration"] | null;
            /** @description The device that took its place, and its record. */
            replaced_by?: string | null;
            /** @description The devices whose place it took. Its series have their values, too. */
            replaces?: string[];
            /**
             * Format: int64
             * @description Since when it is out of service.
             */
            retired_at?: number | null;
            /** @description The serial number: /3/0/2. */
            serial?: string | null;
            /** @description The software version: /3/0/19. */
            software?: string | null;
            /** @description Its state. */
            state: components["schemas"]["DeviceState"];
            /** @description Short words to find it by. */
            tags?: string[];
        };
        /** @description The number of devices that have a value. */
        DeviceCount: {
            /**
             * Format: int64
             * @description The number of devices.
             */
            count: number;
            /** @description The value; absent for devices that have not reported one. */
            value?: string | null;
        };
        /** @description What is known of an object of a device: its instances, and its definition. */
        DeviceObject: {
            definition?: components["schemas"]["ObjectDefinition"] | null;
            /**
             * Format: int32
             * @description The object's id.
             */
            id: number;
            /** @description The instances that the device has registered, or of which values are stored. */
            instances: number[];
        };
        /** @description One value of one device, in an export of many. */
        DeviceSample: {
            /**
             * Format: int64
             * @description The time of the value.
             */
            at: number;
            /** @description The device. */
            endpoint: string;
            /** @description The path of the resource. */
            path: string;
            /** @description A number, text, or hexadecimal digits. Numbers that JSON doesn't have are text: "inf", "-inf", "NaN". */
            value: unknown;
        };
        /** @description What is wanted of one path of a device, and what is so. */
        DeviceSetting: {
            /** @description The attributes of the observation, as in `{"pmin": "10"}`. */
            attributes?: {
                [key: string]: string;
            };
            /** @description That it is observed. Then there is no value. */
            observe?: boolean;
            /** @description The path, as in "/1/0/1". */
            path: string;
            /** @description The value. */
            value?: unknown;
        } & {
            /** @description Where it is. */
            condition: components["schemas"]["DesiredCondition"];
            /** @description The desired state from which that comes. */
            from: string;
            /** @description Other desired states that name the path, and don't count for this device. */
            overrides?: string[];
            /** @description Why it was given up. */
            reason?: string;
            /** @description What the device reported last. */
            reported?: unknown;
            /**
             * Format: int64
             * @description When it did.
             */
            reported_at?: number | null;
            /**
             * Format: int64
             * @description Since when; milliseconds since the epoch.
             */
            since: number;
        };
        /**
         * @description The state of a device.
         * @enum {string}
         */
        DeviceState: "online" | "asleep" | "overdue" | "offline" | "revoked" | "never_seen" | "retired";
        /** @description An event of `/api/v1/events`. The name of the server-sent event is `type`. */
        Event: {
            /** @description The device. */
            endpoint: string;
            /** @description The registration as it is now. */
            registration: components["schemas"]["Registration"];
            /** @enum {string} */
            type: "registered";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @description The registration as it is now. */
            registration: components["schemas"]["Registration"];
            /** @enum {string} */
            type: "updated";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "deregistered";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "expired";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "awake";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "sleeping";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @description Older values, each with its time. */
            history?: components["schemas"]["PathValue"][];
            /** @description The observed paths. */
            paths: string[];
            /** @enum {string} */
            type: "notification";
            /** @description The present values. */
            values: components["schemas"]["PathValue"][];
        } | {
            /** @description The device. */
            endpoint: string;
            /** @description Older values, each with its time. */
            history?: components["schemas"]["PathValue"][];
            /** @enum {string} */
            type: "send";
            /** @description The present values. */
            values: components["schemas"]["PathValue"][];
        } | {
            /** @description What was lost, and why. */
            detail: string;
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "report_problem";
        } | {
            /** @description The device. */
            endpoint: string;
            /** @enum {string} */
            type: "observation_ended";
        } | {
            /** @description `IP:PORT` */
            address: string;
            /** @description The response code, for example "4.03". */
            code: string;
            /** @description The endpoint that the device authenticated as; empty if it did not authenticate. */
            endpoint: string;
            /** @description Why. */
            reason: string;
            /** @enum {string} */
            type: "refused";
        } | {
            /** @description `IP:PORT` */
            address: string;
            /** @description Why it failed. */
            detail?: string;
            /** @description The device, if it is known; of a handshake that failed, whose credentials were shown. */
            endpoint: string;
            /** @description "established", "ended" or "failed". */
            state: string;
            /** @enum {string} */
            type: "dtls";
        } | {
            /** @description The step, or why it failed. */
            detail: string;
            /** @description The device, if it has a name. */
            endpoint: string;
            /** @description "started", "step", "finished", "pack_sent", "failed", "pending" or "refused". */
            phase: string;
            /** @enum {string} */
            type: "bootstrap";
        } | {
            /** @description The device. */
            endpoint: string;
            /**
             * Format: int64
             * @description Its path or id.
             */
            id: number;
            /** @description Where it is. */
            state: components["schemas"]["OperationState"];
            /** @enum {string} */
            type: "operation";
        } | {
            /** @enum {string} */
            type: "firmware_update";
            /** @description The update. */
            update: components["schemas"]["Update"];
        } | {
            /** @description How many devices are where. */
            counts: components["schemas"]["CampaignCounts"];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description Its name. */
            name: string;
            /** @description Why it is there, if there is something to say. */
            reason?: string;
            /** @description Where it is. */
            state: components["schemas"]["CampaignState"];
            /** @enum {string} */
            type: "campaign";
        } | {
            /** @description How many devices are where. */
            counts: components["schemas"]["JobCounts"];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description Its name. */
            name: string;
            /** @description Where it is. */
            state: components["schemas"]["JobState"];
            /** @enum {string} */
            type: "job";
        } | {
            /**
             * Format: int64
             * @description How many alerts of this rule changed so at once, if they are too many for an event each.
             */
            count?: number | null;
            /** @description The device, if it is about one. */
            endpoint?: string | null;
            /** @description The part of the server, if it is about the server. */
            part?: string | null;
            /** @description Its rule. */
            rule: string;
            /** @description How bad it is. */
            severity: components["schemas"]["AlertSeverity"];
            /** @description Where it is. */
            state: components["schemas"]["AlertState"];
            /** @enum {string} */
            type: "alert";
        } | {
            /** @description Why, and what to do. */
            detail: string;
            /** @enum {string} */
            type: "missed";
        };
        /** @description A fact that a finding is derived from. */
        Evidence: {
            /**
             * Format: int64
             * @description When it was so, the last time.
             */
            at?: number | null;
            /** @description The fact. */
            detail: string;
            /** @description Its id, if it has one: that of an operation, an update, a campaign, a credential; the path of a value. */
            id?: string | null;
            /** @description What it is. */
            kind: components["schemas"]["EvidenceKind"];
            /** @description Where it is found in this interface. */
            link?: string | null;
        };
        /**
         * @description What a fact is.
         * @enum {string}
         */
        EvidenceKind: "handshake" | "refusal" | "contact" | "registration" | "value" | "operation" | "update" | "campaign" | "credential" | "claim" | "report" | "server" | "audit";
        /** @description What a filter matches. */
        FilterMatch: {
            /** @description The first of them. */
            examples: string[];
            /**
             * Format: int64
             * @description How many devices.
             */
            matches: number;
            /**
             * Format: int64
             * @description Of how many.
             */
            of: number;
        };
        /** @description Something that is wrong with a device, or worth knowing. */
        Finding: {
            /** @description The cause, as a word that does not change, for example "wrong_psk". */
            cause: string;
            /** @description What it is derived from, the latest first. */
            evidence: components["schemas"]["Evidence"][];
            /** @description What to do next. */
            next_step: string;
            /** @description What is wrong, and why. */
            sentence: string;
            /** @description How bad it is. */
            severity: components["schemas"]["Severity"];
        };
        /** @description A firmware image in the library. */
        Firmware: {
            /** @description The URI for devices, by plain CoAP. */
            coap_uri?: string | null;
            /** @description The URI for devices, by CoAP over DTLS. */
            coaps_uri?: string | null;
            /** @description Its SHA-256, which identifies it in requests. */
            digest: string;
            /** @description The URI for devices, by HTTP. */
            http_uri?: string | null;
            /** @description The URI for devices, by HTTPS. */
            https_uri?: string | null;
            /** @description The operator's name for it. */
            name: string;
            /** @description The project in the image. */
            project: string;
            /** @description Whether it has a detached signature. */
            signed: boolean;
            /**
             * Format: int64
             * @description The number of bytes.
             */
            size: number;
            /**
             * Format: int64
             * @description When it was uploaded.
             */
            uploaded_at: number;
            /** @description The version in the image. */
            version: string;
        };
        /** @description A role, for all devices or for those of a group. */
        Grant: {
            /** @description The group of devices to which it is limited; absent for the whole server. */
            group?: string | null;
            /** @description The role. */
            role: components["schemas"]["Role"];
        };
        /** @description A group of devices: those that were put into it, those of its filter, and those of the groups within it. */
        Group: {
            /** @description What it is for. */
            description?: string;
            /**
             * Format: int64
             * @description How many devices it has.
             */
            devices: number;
            /** @description The filter of its members, if it has one. */
            filter?: string | null;
            /** @description Its name. */
            name: string;
            /** @description The group that it is within. */
            parent?: string | null;
            /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
            revision?: string;
        };
        /** @description Devices that are expected, or of which something is to be noted. */
        ImportDevices: {
            /** @description At most 10,000. */
            devices: components["schemas"]["ImportedDevice"][];
        };
        /** @description The result of an import. */
        Imported: {
            /** @description The number of new credentials. */
            added: number;
            /** @description The number of credentials that existed already. */
            unchanged: number;
        };
        /** @description A device of an import. */
        ImportedDevice: {
            /** @description The endpoint name. */
            endpoint: string;
            /** @description Fields to set. */
            fields?: {
                [key: string]: string;
            };
            /** @description Groups to put it into. They have to exist. */
            groups?: string[];
            /** @description Free text, in place of the one that it has. */
            notes?: string | null;
            /** @description Tags to add. */
            tags?: string[];
        };
        /** @description What became of an import. */
        ImportedDevices: {
            /** @description Devices that were not known. */
            added: number;
            /** @description Devices that were known, and of which something was noted. */
            changed: number;
            /** @description Devices of which all that was known. */
            unchanged: number;
        };
        /** @description One command for many devices. */
        Job: {
            /** @description Who made it. */
            author: string;
            /**
             * Format: int32
             * @description The most devices that are waited for at a time.
             */
            concurrent: number;
            /** @description How many devices are where. */
            counts: components["schemas"]["JobCounts"];
            /**
             * Format: int64
             * @description Milliseconds since the epoch.
             */
            created_at: number;
            /**
             * Format: int64
             * @description When devices are given up that were not reached; milliseconds since the epoch.
             */
            deadline: number;
            /**
             * Format: int64
             * @description When it ended.
             */
            ended_at?: number | null;
            /** @description Why it failed, the most frequent reason first. Not in lists. */
            failures?: components["schemas"]["JobFailure"][];
            /** @description The filter for which it was made. */
            filter: string;
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description Its name. */
            name: string;
            /**
             * Format: int32
             * @description The most devices that get the command in a minute.
             */
            per_minute?: number | null;
            /** @description The command. */
            request: components["schemas"]["Request"];
            /**
             * Format: int32
             * @description How often a device that did not answer is tried again.
             */
            retries: number;
            /** @description Where it is. */
            state: components["schemas"]["JobState"];
        };
        /** @description How many devices of a job are where. */
        JobCounts: {
            /**
             * Format: int64
             * @description Get it when they wake.
             */
            asleep: number;
            /**
             * Format: int64
             * @description Were left out when the job was cancelled.
             */
            cancelled: number;
            /**
             * Format: int64
             * @description Answered, and have not yet shown that they did it, by `until`.
             */
            confirming: number;
            /**
             * Format: int64
             * @description Refused, or gave no answer.
             */
            failed: number;
            /**
             * Format: int64
             * @description Never got it.
             */
            not_reached: number;
            /**
             * Format: int64
             * @description Have not answered yet.
             */
            sent: number;
            /**
             * Format: int64
             * @description Did what they were asked for.
             */
            succeeded: number;
            /**
             * Format: int64
             * @description Have not got the command.
             */
            waiting: number;
        };
        /** @description One device of a job. */
        JobDevice: {
            /**
             * Format: int32
             * @description How often it was given the command.
             */
            attempts: number;
            /** @description What it answered, or why not. */
            detail?: string;
            /** @description The device. */
            endpoint: string;
            /**
             * Format: int64
             * @description The operation by which it was given the command last: it has what the device answered.
             */
            operation?: number | null;
            /** @description "waiting", "sent", "asleep", "confirming", "succeeded", "failed", "not_reached" or "cancelled". */
            stage: string;
        };
        /** @description A reason for which a job failed on devices. */
        JobFailure: {
            /**
             * Format: int64
             * @description On how many devices.
             */
            count: number;
            /** @description One of them. */
            example: string;
            /** @description The reason. */
            reason: string;
        };
        /** @description What a job would do. */
        JobPreview: {
            /** @description The command in words. */
            command: string;
            /**
             * Format: int64
             * @description The devices that it would have.
             */
            devices: number;
            /** @description Some of them. */
            examples: string[];
            /** @description Whether "devices" has to repeat the number of devices. */
            needs_count: boolean;
            /**
             * Format: int64
             * @description Of these, how many are not registered: they get the command if they register before the deadline.
             */
            offline: number;
        };
        /**
         * @description Where a job is.
         * @enum {string}
         */
        JobState: "running" | "stopping" | "done" | "cancelled";
        /**
         * @description When a device has done what a job asks for.
         * @enum {string}
         */
        JobUntil: "answered" | "registered" | "key_used";
        /** @description The last value of a resource that a device reported. */
        LastValue: {
            /**
             * Format: int64
             * @description When it held.
             */
            at: number;
            /** @description What the number means, if its numbers have meanings of their own: 0 is "Idle". */
            label?: string | null;
            /** @description Its name in the object definitions. */
            name?: string | null;
            /** @description The path of the resource. */
            path: string;
            /** @description The type in its definition, for example "float". */
            type?: string | null;
            /** @description Its unit. */
            units?: string | null;
            /** @description The value, as a read answers it: a time is in milliseconds since the epoch. */
            value: unknown;
        };
        /** @description A link in the answer to a Discover. */
        Link: {
            /** @description Its attributes. */
            attributes: {
                [key: string]: string;
            };
            /** @description The path, for example "/3/0/9". */
            path: string;
        };
        /** @description The author of a request. */
        Me: {
            /** @description The account, if there is one. */
            account?: string | null;
            /** @description How the request is signed in. */
            by: components["schemas"]["SignedInBy"];
            csrf?: components["schemas"]["Secret"] | null;
            /**
             * Format: int64
             * @description When the sign-in or the token ends.
             */
            expires_at?: number | null;
            /** @description What it may do. */
            grants: components["schemas"]["Grant"][];
            /** @description The name in the audit log. */
            name: string;
            /** @description Where a browser ends its sign-in at the identity provider, too; absent if it signed in otherwise. */
            provider_sign_out?: string | null;
            /** @description Whether the account has a second factor. */
            second_factor?: boolean;
        };
        /** @description Gives the record of a device whose board was replaced to the device that took its place. */
        MergeDevice: {
            /** @description The name of the device that was replaced, repeated: this can't be undone. */
            confirm: string;
            /** @description The device that took its place. */
            into: string;
        };
        /** @description A receiver that was set up. */
        NewAlertReceiver: components["schemas"]["AlertReceiver"] & {
            /** @description The secret of a webhook, if the server made it. It is not shown again. */
            secret?: string | null;
        };
        /** @description A credential that was made, and the secret if the server made that too. */
        NewCredential: components["schemas"]["Credential"] & {
            key?: components["schemas"]["Secret"] | null;
        };
        /** @description A token that was made. */
        NewToken: {
            /** @description What to send as `Authorization: Bearer …`. It is shown this once. */
            secret: components["schemas"]["Secret"];
            /** @description The token. */
            token: components["schemas"]["Token"];
        };
        /** @description The definition of an object. */
        ObjectDefinition: {
            /** @description What it is for. */
            description?: string | null;
            /** @description Whether it can have several instances. */
            multiple: boolean;
            /** @description Its name. */
            name: string;
            /** @description Its resources, ordered by id. */
            resources: components["schemas"]["ResourceDefinition"][];
            /** @description Its version, for example "1.1". */
            version: string;
        };
        /** @description An observation of a device. */
        Observation: {
            /** @description Whether it is one observation of several paths. */
            composite: boolean;
            /** @description The observed paths. */
            paths: string[];
        };
        /** @description An operation on a device. It survives a restart of the server and a sleep of the device. */
        Operation: {
            /**
             * Format: int64
             * @description When the state last changed.
             */
            changed_at: number;
            /** @description The device's response code, for example "2.05". */
            code?: string | null;
            /**
             * Format: int64
             * @description When it was started.
             */
            created_at: number;
            /**
             * Format: int64
             * @description When it expires.
             */
            deadline: number;
            /** @description The diagnostic text of the device's error, or why there is no answer. */
            detail?: string | null;
            /** @description Whether it has ended. */
            ended: boolean;
            /** @description The device. */
            endpoint: string;
            failure?: components["schemas"]["OperationFailure"] | null;
            /** @description Older values in the device's answer, each with its time (RFC 8428 section 4.5.3). */
            history?: components["schemas"]["PathValue"][];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description The links in the device's answer; only if one operation is requested. */
            links?: components["schemas"]["Link"][] | null;
            /** @description The location of the new instance, for example "/3303/5". */
            location?: string | null;
            /** @description The CoAP method. */
            method: string;
            /** @description The path, for example "/3/0/9"; "/" for several paths. */
            path: string;
            /** @description Where it is. */
            state: components["schemas"]["OperationState"];
            /** @description The present values in the device's answer; only if one operation is requested. */
            values?: components["schemas"]["PathValue"][] | null;
        };
        /**
         * @description Why an operation has no answer; `detail` says the same in words.
         * @enum {string}
         */
        OperationFailure: "not_registered" | "timed_out" | "reset" | "expired" | "cancelled" | "deregistered" | "interrupted" | "too_many_operations" | "bad_transfer" | "request_too_large" | "no_such_observation" | "other";
        /**
         * @description Where an operation is.
         * @enum {string}
         */
        OperationState: "queued" | "sent" | "succeeded" | "failed" | "expired" | "cancelled";
        /** @description A page of a list. */
        Page_Account: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When it was made.
                 */
                created_at: number;
                /** @description Whether it may not sign in, and its tokens don't count. */
                disabled: boolean;
                /** @description Whether an identity provider signs it in; it has no password then. */
                external?: boolean;
                /** @description What it may do. */
                grants: components["schemas"]["Grant"][];
                /**
                 * Format: int64
                 * @description When it last signed in.
                 */
                last_sign_in?: number | null;
                /** @description Its name. */
                name: string;
                /** @description Whether it signs in with a one-time code as well. */
                second_factor: boolean;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Alert: {
            /** @description The entries. */
            items: {
                acknowledged?: components["schemas"]["AlertAcknowledgement"] | null;
                /** @description What is known besides. */
                detail?: string;
                /**
                 * Format: int64
                 * @description When it was over.
                 */
                ended_at?: number | null;
                /** @description The device, if it is about one. */
                endpoint?: string | null;
                /** @description The part of the server, if it is about the server. */
                part?: string | null;
                /** @description Its rule. */
                rule: string;
                /** @description How bad it is. */
                severity: components["schemas"]["AlertSeverity"];
                /** @description Whether receivers are not told of it, since it is silenced. */
                silenced?: boolean;
                /**
                 * Format: int64
                 * @description Since when its condition holds, or for one that fires, since when it fires.
                 */
                since: number;
                /** @description Where it is. */
                state: components["schemas"]["AlertState"];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_AlertDelivery: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int32
                 * @description How often it was sent.
                 */
                attempts: number;
                /**
                 * Format: int64
                 * @description When it was made.
                 */
                created_at: number;
                /**
                 * Format: int64
                 * @description When it was accepted, or given up.
                 */
                ended_at?: number | null;
                /** @description Why it was not accepted. */
                error?: string;
                /**
                 * Format: int64
                 * @description Alerts that fire,
                 */
                firing: number;
                /**
                 * Format: int64
                 * @description that flap,
                 */
                flapping: number;
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /**
                 * Format: int64
                 * @description When it is sent next.
                 */
                next_attempt?: number | null;
                /** @description To whom. */
                receiver: string;
                /**
                 * Format: int64
                 * @description and that are over.
                 */
                resolved: number;
                /** @description Of which rule. */
                rule: string;
                /** @description Where it is. */
                state: components["schemas"]["AlertDeliveryState"];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_AlertReceiver: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When a message was last accepted, since the server started.
                 */
                accepted_at?: number | null;
                /**
                 * Format: int64
                 * @description Messages that were given up.
                 */
                dead: number;
                /** @description Why the last attempt failed, if it did. */
                error?: string;
                /**
                 * Format: int64
                 * @description After how long a message that is not accepted is given up; seconds.
                 */
                give_up_after: number;
                /**
                 * Format: int64
                 * @description For how long a message waits for more alerts of its rule; seconds.
                 */
                group_wait: number;
                /** @description "webhook", "slack", "email", "mqtt" or "nats". */
                kind: string;
                /** @description Its name. */
                name: string;
                settings?: components["schemas"]["AlertTarget"] | null;
                /** @description It is told of alerts that are at least so bad. */
                severity: components["schemas"]["AlertSeverity"];
                /** @description Where it is, without what is secret. */
                target: string;
                /**
                 * Format: int64
                 * @description Messages that wait.
                 */
                waiting: number;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_AlertRule: {
            /** @description The entries. */
            items: ({
                /** @description What it looks for. */
                condition: components["schemas"]["AlertCondition"];
                /** @description What it means, and what to do. */
                description?: string;
                /** @description When a subject is said to flap. */
                flapping?: components["schemas"]["AlertFlapping"];
                /**
                 * Format: int64
                 * @description For how long the condition has to hold before the alert fires.
                 */
                for?: number;
                /** @description Who is told; all receivers if it is empty. */
                receivers?: string[];
                /**
                 * Format: int64
                 * @description After how long receivers are told again of an alert that nobody took note of; never without it.
                 */
                repeat?: number | null;
                /**
                 * Format: int64
                 * @description For how long the condition must not hold before the alert is over.
                 */
                resolve_after?: number;
                /** @description How bad it is. */
                severity?: components["schemas"]["AlertSeverity"];
            } & {
                /** @description Why its filter can't be used any more. */
                fault?: string | null;
                /**
                 * Format: int64
                 * @description Alerts that fire.
                 */
                firing: number;
                /** @description Whether there are more subjects than can be followed. */
                is_full?: boolean;
                /** @description Its name. */
                name: string;
            })[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_AlertSilence: {
            /** @description The entries. */
            items: {
                /** @description Whether it counts now. */
                active: boolean;
                /** @description Who made it. */
                author: string;
                /** @description Why. */
                comment: string;
                /** @description Only alerts of devices that this filter matches. */
                filter?: string | null;
                /**
                 * Format: int64
                 * @description From when.
                 */
                from: number;
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description Only alerts of this rule. */
                rule?: string | null;
                /**
                 * Format: int64
                 * @description Until when.
                 */
                until: number;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_AuditEntry: {
            /** @description The entries. */
            items: {
                /** @description The action, for example "credential.revoke". */
                action: string;
                /**
                 * Format: int64
                 * @description The time.
                 */
                at: number;
                /** @description Further details. */
                detail: string;
                /**
                 * Format: int64
                 * @description Ids grow.
                 */
                id: number;
                /** @description The address of the principal; empty for the server itself. */
                origin: string;
                /** @description The author. */
                principal: string;
                /** @description "ok", or the reason of the refusal. */
                result: string;
                /** @description The target: an endpoint name, a digest, a pattern. */
                target: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_BootstrapClaim: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When an operator accepted it.
                 */
                accepted_at?: number | null;
                /** @description The address of its last request. */
                address: string;
                /** @description The endpoint name in its request. */
                endpoint: string;
                /**
                 * Format: int64
                 * @description The time of its first request.
                 */
                first_asked: number;
                /**
                 * Format: int64
                 * @description The time of its last request.
                 */
                last_asked: number;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_BootstrapConfig: {
            /** @description The entries. */
            items: {
                /** @description Instances of the access control object. */
                acls?: components["schemas"]["BootstrapAcl"][];
                bootstrap_server?: components["schemas"]["BootstrapAccount"] | null;
                /**
                 * Format: int64
                 * @description When it was last changed. Ignored in requests.
                 */
                changed_at?: number | null;
                /** @description Paths that the device deletes first: "/", objects or instances. */
                delete?: string[];
                /** @description A name, in which `*` stands for any text. */
                pattern: string;
                /** @description The LwM2M servers at which the device is to register. */
                servers: components["schemas"]["BootstrapServer"][];
                /** @description Resources of other objects. */
                writes?: components["schemas"]["BootstrapWrite"][];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Campaign: {
            /** @description The entries. */
            items: {
                /** @description Who agreed to its start. */
                approvals?: string[];
                /** @description Who made it. */
                author: string;
                /** @description Whether it goes on when a person approves: its start, or the gate of its open wave. */
                awaits_approval: boolean;
                /** @description How many devices are where. */
                counts: components["schemas"]["CampaignCounts"];
                /**
                 * Format: int64
                 * @description When it was made.
                 */
                created_at: number;
                /**
                 * Format: int64
                 * @description When it ended.
                 */
                ended_at?: number | null;
                /** @description What happened, the oldest first. */
                events?: components["schemas"]["CampaignEvent"][];
                /** @description The kinds of failures, the most frequent first. */
                failures?: components["schemas"]["CampaignFailure"][];
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description What was planned. */
                plan: components["schemas"]["PutCampaign"];
                /** @description Why it is there, if there is something to say. */
                reason?: string;
                /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
                revision?: string;
                /**
                 * Format: int64
                 * @description When it started.
                 */
                started_at?: number | null;
                /** @description Where it is. */
                state: components["schemas"]["CampaignState"];
                /** @description The waves. */
                waves: components["schemas"]["CampaignWaveProgress"][];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_CampaignDevice: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int32
                 * @description Updates that ended.
                 */
                attempts: number;
                /** @description Why it waits, failed or is not tried. */
                detail?: string;
                /** @description The device. */
                endpoint: string;
                /** @description The kind of failure. */
                failure?: string | null;
                /** @description "waiting", "updating", "confirmed", "had_it", "failed", "skipped", "going_back" or "put_back". */
                stage: string;
                /**
                 * Format: int64
                 * @description Its update, while it is under way.
                 */
                update?: number | null;
                /**
                 * Format: int64
                 * @description Its wave, from 1.
                 */
                wave: number;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Credential: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When it was made.
                 */
                created_at: number;
                /** @description The device. */
                endpoint: string;
                /** @description The SHA-256 of the only valid certificate, in hexadecimal digits; absent if any certificate with the device's name is valid. */
                fingerprint?: string | null;
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description The identity of a psk. */
                identity?: string | null;
                /** @description The kind. */
                kind: components["schemas"]["CredentialKind"];
                /** @description The key of an rpk: a DER SubjectPublicKeyInfo in hexadecimal digits. */
                public_key?: string | null;
                /** @description The server for which it is valid. */
                purpose: components["schemas"]["CredentialPurpose"];
                /** @description The state. */
                state: components["schemas"]["CredentialState"];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_DesiredDevice: {
            /** @description The entries. */
            items: {
                /** @description The device. */
                endpoint: string;
                /** @description The path of the setting that is the farthest from it, if something is not as wanted. */
                path?: string | null;
                /** @description How far it is. */
                progress: components["schemas"]["DesiredProgress"];
                /** @description Why that was given up. */
                reason?: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_DesiredState: {
            /** @description The entries. */
            items: {
                /** @description How far its devices are. */
                counts: components["schemas"]["DesiredCounts"];
                /** @description Why its filter can't be used any more: it keeps the devices that it had. */
                fault?: string | null;
                /** @description Which devices. */
                filter: string;
                /** @description Its name. */
                name: string;
                /**
                 * Format: int32
                 * @description Its priority.
                 */
                priority: number;
                /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
                revision?: string;
                /** @description What is wanted. */
                settings: components["schemas"]["DesiredSetting"][];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Device: {
            /** @description The entries. */
            items: {
                /** @description The endpoint name. */
                endpoint: string;
                /** @description Fields of the operators' own. */
                fields?: {
                    [key: string]: string;
                };
                /** @description The firmware version: /3/0/3. */
                firmware?: string | null;
                /**
                 * Format: int64
                 * @description When it first registered; 0 if it never did.
                 */
                first_contact: number;
                /** @description The groups into which it was put. */
                groups?: string[];
                /** @description The hardware version: /3/0/18. */
                hardware?: string | null;
                /**
                 * Format: int64
                 * @description When it last sent something; 0 if it never did.
                 */
                last_contact: number;
                /** @description The manufacturer: /3/0/0. */
                manufacturer?: string | null;
                /** @description The model number: /3/0/1. */
                model?: string | null;
                /**
                 * Format: int64
                 * @description When it is expected to be heard next, learned from its contacts; absent as long as that is not known.
                 */
                next_contact?: number | null;
                /** @description Free text. */
                notes?: string;
                /**
                 * Format: int64
                 * @description Since when it is overdue: it was not heard for clearly longer than it usually is silent.
                 */
                overdue_since?: number | null;
                registration?: components["schemas"]["Registration"] | null;
                /** @description The device that took its place, and its record. */
                replaced_by?: string | null;
                /** @description The devices whose place it took. Its series have their values, too. */
                replaces?: string[];
                /**
                 * Format: int64
                 * @description Since when it is out of service.
                 */
                retired_at?: number | null;
                /** @description The serial number: /3/0/2. */
                serial?: string | null;
                /** @description The software version: /3/0/19. */
                software?: string | null;
                /** @description Its state. */
                state: components["schemas"]["DeviceState"];
                /** @description Short words to find it by. */
                tags?: string[];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_DeviceCount: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description The number of devices.
                 */
                count: number;
                /** @description The value; absent for devices that have not reported one. */
                value?: string | null;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_DeviceObject: {
            /** @description The entries. */
            items: {
                definition?: components["schemas"]["ObjectDefinition"] | null;
                /**
                 * Format: int32
                 * @description The object's id.
                 */
                id: number;
                /** @description The instances that the device has registered, or of which values are stored. */
                instances: number[];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_DeviceSetting: {
            /** @description The entries. */
            items: ({
                /** @description The attributes of the observation, as in `{"pmin": "10"}`. */
                attributes?: {
                    [key: string]: string;
                };
                /** @description That it is observed. Then there is no value. */
                observe?: boolean;
                /** @description The path, as in "/1/0/1". */
                path: string;
                /** @description The value. */
                value?: unknown;
            } & {
                /** @description Where it is. */
                condition: components["schemas"]["DesiredCondition"];
                /** @description The desired state from which that comes. */
                from: string;
                /** @description Other desired states that name the path, and don't count for this device. */
                overrides?: string[];
                /** @description Why it was given up. */
                reason?: string;
                /** @description What the device reported last. */
                reported?: unknown;
                /**
                 * Format: int64
                 * @description When it did.
                 */
                reported_at?: number | null;
                /**
                 * Format: int64
                 * @description Since when; milliseconds since the epoch.
                 */
                since: number;
            })[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Firmware: {
            /** @description The entries. */
            items: {
                /** @description The URI for devices, by plain CoAP. */
                coap_uri?: string | null;
                /** @description The URI for devices, by CoAP over DTLS. */
                coaps_uri?: string | null;
                /** @description Its SHA-256, which identifies it in requests. */
                digest: string;
                /** @description The URI for devices, by HTTP. */
                http_uri?: string | null;
                /** @description The URI for devices, by HTTPS. */
                https_uri?: string | null;
                /** @description The operator's name for it. */
                name: string;
                /** @description The project in the image. */
                project: string;
                /** @description Whether it has a detached signature. */
                signed: boolean;
                /**
                 * Format: int64
                 * @description The number of bytes.
                 */
                size: number;
                /**
                 * Format: int64
                 * @description When it was uploaded.
                 */
                uploaded_at: number;
                /** @description The version in the image. */
                version: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Group: {
            /** @description The entries. */
            items: {
                /** @description What it is for. */
                description?: string;
                /**
                 * Format: int64
                 * @description How many devices it has.
                 */
                devices: number;
                /** @description The filter of its members, if it has one. */
                filter?: string | null;
                /** @description Its name. */
                name: string;
                /** @description The group that it is within. */
                parent?: string | null;
                /** @description Changes when operators change it; to be given as `If-Match` with the next change. */
                revision?: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Job: {
            /** @description The entries. */
            items: {
                /** @description Who made it. */
                author: string;
                /**
                 * Format: int32
                 * @description The most devices that are waited for at a time.
                 */
                concurrent: number;
                /** @description How many devices are where. */
                counts: components["schemas"]["JobCounts"];
                /**
                 * Format: int64
                 * @description Milliseconds since the epoch.
                 */
                created_at: number;
                /**
                 * Format: int64
                 * @description When devices are given up that were not reached; milliseconds since the epoch.
                 */
                deadline: number;
                /**
                 * Format: int64
                 * @description When it ended.
                 */
                ended_at?: number | null;
                /** @description Why it failed, the most frequent reason first. Not in lists. */
                failures?: components["schemas"]["JobFailure"][];
                /** @description The filter for which it was made. */
                filter: string;
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description Its name. */
                name: string;
                /**
                 * Format: int32
                 * @description The most devices that get the command in a minute.
                 */
                per_minute?: number | null;
                /** @description The command. */
                request: components["schemas"]["Request"];
                /**
                 * Format: int32
                 * @description How often a device that did not answer is tried again.
                 */
                retries: number;
                /** @description Where it is. */
                state: components["schemas"]["JobState"];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_JobDevice: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int32
                 * @description How often it was given the command.
                 */
                attempts: number;
                /** @description What it answered, or why not. */
                detail?: string;
                /** @description The device. */
                endpoint: string;
                /**
                 * Format: int64
                 * @description The operation by which it was given the command last: it has what the device answered.
                 */
                operation?: number | null;
                /** @description "waiting", "sent", "asleep", "confirming", "succeeded", "failed", "not_reached" or "cancelled". */
                stage: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_LastValue: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When it held.
                 */
                at: number;
                /** @description What the number means, if its numbers have meanings of their own: 0 is "Idle". */
                label?: string | null;
                /** @description Its name in the object definitions. */
                name?: string | null;
                /** @description The path of the resource. */
                path: string;
                /** @description The type in its definition, for example "float". */
                type?: string | null;
                /** @description Its unit. */
                units?: string | null;
                /** @description The value, as a read answers it: a time is in milliseconds since the epoch. */
                value: unknown;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Observation: {
            /** @description The entries. */
            items: {
                /** @description Whether it is one observation of several paths. */
                composite: boolean;
                /** @description The observed paths. */
                paths: string[];
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Operation: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description When the state last changed.
                 */
                changed_at: number;
                /** @description The device's response code, for example "2.05". */
                code?: string | null;
                /**
                 * Format: int64
                 * @description When it was started.
                 */
                created_at: number;
                /**
                 * Format: int64
                 * @description When it expires.
                 */
                deadline: number;
                /** @description The diagnostic text of the device's error, or why there is no answer. */
                detail?: string | null;
                /** @description Whether it has ended. */
                ended: boolean;
                /** @description The device. */
                endpoint: string;
                failure?: components["schemas"]["OperationFailure"] | null;
                /** @description Older values in the device's answer, each with its time (RFC 8428 section 4.5.3). */
                history?: components["schemas"]["PathValue"][];
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description The links in the device's answer; only if one operation is requested. */
                links?: components["schemas"]["Link"][] | null;
                /** @description The location of the new instance, for example "/3303/5". */
                location?: string | null;
                /** @description The CoAP method. */
                method: string;
                /** @description The path, for example "/3/0/9"; "/" for several paths. */
                path: string;
                /** @description Where it is. */
                state: components["schemas"]["OperationState"];
                /** @description The present values in the device's answer; only if one operation is requested. */
                values?: components["schemas"]["PathValue"][] | null;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Sample: {
            /** @description The entries. */
            items: {
                /**
                 * Format: int64
                 * @description The time of the value, or the start of the interval.
                 */
                at: number;
                /**
                 * Format: int64
                 * @description In a summary: the number of values.
                 */
                count?: number | null;
                /** @description In a summary: the largest value. */
                max?: unknown;
                /** @description In a summary: the smallest value. */
                min?: unknown;
                /** @description A number, text, or hexadecimal digits; in a summary, the mean. Numbers that JSON doesn't have are text: "inf", "-inf", "NaN". */
                value: unknown;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_SavedFilter: {
            /** @description The entries. */
            items: {
                /** @description What it is for. */
                description?: string;
                /** @description The filter. */
                filter: string;
                /** @description Its name. */
                name: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_String: {
            /** @description The entries. */
            items: string[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Token: {
            /** @description The entries. */
            items: {
                /** @description The account that it belongs to. It may never do more than this. */
                account: string;
                /**
                 * Format: int64
                 * @description When it was made.
                 */
                created_at: number;
                /**
                 * Format: int64
                 * @description When it stops to count; absent if never.
                 */
                expires_at?: number | null;
                /** @description What it may do. */
                grants: components["schemas"]["Grant"][];
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /**
                 * Format: int64
                 * @description When it was last used, to the minute or so.
                 */
                last_used_at?: number | null;
                /** @description Its name. */
                name: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A page of a list. */
        Page_Update: {
            /** @description The entries. */
            items: {
                /** @description The state as text, with the device's codes. */
                detail: string;
                /**
                 * Format: int64
                 * @description Bytes of the image that were sent to the device; only if one open update is requested.
                 */
                downloaded?: number | null;
                /** @description Whether it has ended. */
                ended: boolean;
                /** @description The device. */
                endpoint: string;
                /** @description The image. */
                firmware: string;
                /** @description The stages so far. */
                history: components["schemas"]["UpdateStage"][];
                /**
                 * Format: int64
                 * @description Its id.
                 */
                id: number;
                /** @description The version that the device ran before. */
                old_version?: string | null;
                /**
                 * @description inspecting, ordering, downloading, executing, installing, deferred, confirming; or how it ended: updated, already_running,
                 *     rolled_back, unexpected_version, refused, failed, timed_out, cancelled.
                 */
                state: string;
                /** @description The version that the device has to report. */
                version: string;
            }[];
            /** @description Pass it as `after` to get the next page; absent on the last one. */
            next?: string | null;
        };
        /** @description A value and its path. */
        PathValue: {
            /**
             * Format: int64
             * @description When the device measured it, if it reports that; milliseconds since the epoch.
             */
            at?: number | null;
            /** @description The path, for example "/3/0/9". */
            path: string;
            /**
             * @description string, integer, unsigned_integer, float, boolean, opaque, time, objlnk or corelnk; that of the object's definition if left
             *     out of a request.
             */
            type?: string | null;
            /**
             * @description A number, text, `true` or `false`. Times are milliseconds since the epoch, bytes hexadecimal digits, links "3:0". `null` names the
             *     path alone: an instance without resources, a resource without instances.
             */
            value: unknown;
        };
        /** @description An error (RFC 9457). */
        Problem: {
            /** @description What happened, why, and what to do next. */
            detail?: string;
            /**
             * Format: int64
             * @description Where in a filter the error is: a number of characters from its start.
             */
            position?: number | null;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The kind of error. */
            title: string;
        };
        /** @description A receiver, as it is set up. Times are in seconds. */
        PutAlertReceiver: {
            /**
             * Format: int64
             * @description After how long a message that is not accepted is given up; 10 to 604800.
             */
            give_up_after?: number;
            /**
             * Format: int64
             * @description For how long a message waits for more alerts of its rule; 0 to 3600.
             */
            group_wait?: number;
            /** @description It is told of alerts that are at least so bad. */
            severity?: components["schemas"]["AlertSeverity"];
            target?: components["schemas"]["AlertTarget"] | null;
        };
        /** @description A rule, as it is set up. Times are in seconds. */
        PutAlertRule: {
            /** @description What it looks for. */
            condition: components["schemas"]["AlertCondition"];
            /** @description What it means, and what to do. */
            description?: string;
            /** @description When a subject is said to flap. */
            flapping?: components["schemas"]["AlertFlapping"];
            /**
             * Format: int64
             * @description For how long the condition has to hold before the alert fires.
             */
            for?: number;
            /** @description Who is told; all receivers if it is empty. */
            receivers?: string[];
            /**
             * Format: int64
             * @description After how long receivers are told again of an alert that nobody took note of; never without it.
             */
            repeat?: number | null;
            /**
             * Format: int64
             * @description For how long the condition must not hold before the alert is over.
             */
            resolve_after?: number;
            /** @description How bad it is. */
            severity?: components["schemas"]["AlertSeverity"];
        };
        /** @description A campaign to make, or to change while it is a draft. */
        PutCampaign: {
            /**
             * Format: int32
             * @description The most updates at a time.
             */
            concurrent?: number;
            /**
             * Format: int64
             * @description When devices that still wait are given up.
             */
            deadline?: number | null;
            deferral?: components["schemas"]["CampaignDeferral"] | null;
            /** @description How the image gets to the devices. */
            delivery?: components["schemas"]["Delivery"];
            /** @description Which devices: a filter. The empty one matches all. */
            filter?: string;
            /** @description The image: SHA-256 in hexadecimal digits. */
            firmware: string;
            /** @description Whether devices that match later take part, too. */
            growing?: boolean;
            /** @description Its name. */
            name: string;
            /** @description Whether somebody else than its author has to agree to its start. */
            needs_approval?: boolean;
            /** @description What it does when it stops itself. */
            on_stop?: components["schemas"]["CampaignOnStop"];
            /**
             * Format: int32
             * @description The most updates that start in a minute.
             */
            per_minute?: number | null;
            /** @description What devices have to be for the release, besides what the image says itself. */
            requires?: components["schemas"]["CampaignRequirements"];
            /**
             * Format: int32
             * @description How often a device whose update failed in a way that may pass is tried again.
             */
            retries?: number;
            /** @description How often kinds of failures are tried again, in place of what `retries` says. */
            retry?: components["schemas"]["CampaignRetry"][];
            /**
             * Format: int64
             * @description When it starts, at the earliest.
             */
            start_at?: number | null;
            /** @description When it pauses itself. */
            stop?: components["schemas"]["CampaignStop"];
            /** @description The version that devices will report; by default the one that the image says. */
            version?: string | null;
            /** @description The waves. The last takes all devices that the others leave. Without any there is one. */
            waves?: components["schemas"]["CampaignWave"][];
            window?: components["schemas"]["CampaignWindow"] | null;
        };
        /** @description A desired state to make, or to replace. */
        PutDesiredState: {
            /** @description Which devices: a filter. The empty one matches all. */
            filter?: string;
            /**
             * Format: int32
             * @description Of two that name the same path, the higher one counts; of two equal ones, the one whose name comes first.
             */
            priority?: number;
            /** @description What is wanted. */
            settings: components["schemas"]["DesiredSetting"][];
        };
        /** @description A filter to save. */
        PutFilter: {
            /** @description What it is for. */
            description?: string;
            /** @description The filter. */
            filter: string;
        };
        /** @description What a group is to be. */
        PutGroup: {
            /** @description What it is for. */
            description?: string;
            /** @description The filter of its members. */
            filter?: string | null;
            /** @description The group that it is within. */
            parent?: string | null;
        };
        /** @description Codes that each replace a one-time code once. They are shown this once. */
        RecoveryCodes: {
            /** @description The codes. */
            codes: components["schemas"]["Secret"][];
        };
        /** @description The registration of a device. */
        Registration: {
            /** @description `IP:PORT` */
            address: string;
            /** @description The binding, for example "U". */
            binding: string;
            /** @description Its id. */
            id: string;
            /**
             * Format: int32
             * @description Seconds; 0 is for ever.
             */
            lifetime: number;
            /** @description "1.0", "1.1" or "1.2". */
            lwm2m: string;
            /** @description Objects and instances, for example "/3/0". */
            objects: string[];
            /** @description Whether the device sleeps between its contacts. */
            queue_mode: boolean;
            /**
             * Format: int64
             * @description When it registered.
             */
            registered_at: number;
            /** @description Whether the device uses DTLS, and so is authenticated. */
            secure: boolean;
        };
        /** @description The devices of a rehearsal, and what is wrong with them. Percentages are 0 to 100. */
        RehearsalConditions: {
            /**
             * Format: double
             * @description So many percent crash on a version and go back to their old image.
             * @default 0
             */
            crash: number;
            /**
             * @description The version on which they crash; by default that of the campaign.
             * @default null
             */
            crash_on: string | null;
            /**
             * Format: int32
             * @description How many: 1 to 100,000.
             * @default 10000
             */
            devices: number;
            /**
             * Format: double
             * @description By so many percent of that a device may be late.
             * @default 10
             */
            jitter: number;
            /**
             * Format: int64
             * @description Bits in a second that the link of each device carries; 0 if the link is no limit.
             * @default 0
             */
            link: number;
            /**
             * Format: double
             * @description So many percent can't be reached at all.
             * @default 0
             */
            offline: number;
            /**
             * Format: int64
             * @description Another number has other devices crash, be offline, and wake at other times.
             * @default 1
             */
            seed: number;
            /**
             * Format: int64
             * @description Seconds between two wakes of a device; 0 if devices never sleep.
             * @default 0
             */
            sleep: number;
        };
        /** @description A time at which a part of the devices had confirmed the release. */
        RehearsalMilestone: {
            /**
             * Format: int64
             * @description When.
             */
            at: number;
            /**
             * Format: int32
             * @description The part, in percent of all devices.
             */
            percent: number;
        };
        /**
         * @description How a rehearsal ended.
         * @enum {string}
         */
        RehearsalVerdict: "done" | "stopped" | "without_end" | "not_started" | "unfinished";
        /** @description A campaign to play on simulated devices. */
        RehearseCampaign: {
            /** @description The simulated devices. */
            conditions?: components["schemas"]["RehearsalConditions"];
            /** @description The campaign. */
            plan: components["schemas"]["PutCampaign"];
        };
        /** @description A wave of a rehearsal. */
        RehearsedWave: {
            /** @description How many devices would be where. */
            counts: components["schemas"]["CampaignCounts"];
            /**
             * Format: int64
             * @description When its first devices could be updated.
             */
            opened?: number | null;
            /**
             * Format: int64
             * @description When it passed its gate.
             */
            passed?: number | null;
        };
        /** @description Removes one's own second factor. */
        RemoveSecondFactor: {
            /** @description The password of the account. */
            password: components["schemas"]["Secret"];
        };
        /**
         * @description An operation of LwM2M. Paths have the form "/3/0/9". Formats are TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR or LWM2M_CBOR;
         *     without a format the server chooses one that the device supports.
         */
        Request: {
            /** @description The values below an object, instance, resource or resource instance. */
            read: {
                /** @description The format of the device's answer. */
                format?: string | null;
                /** @description The path. */
                path: string;
            };
        } | {
            /** @description The objects, instances and resources of the device, with their attributes. */
            discover: {
                /** @description The path. */
                path: string;
            };
        } | {
            /** @description New values of an instance, a resource or a resource instance. */
            write: {
                /** @description The format of the payload. */
                format?: string | null;
                /** @description What happens to values that are not in `values`. */
                mode?: components["schemas"]["WriteMode"];
                /** @description The path. */
                path: string;
                /**
                 * @description The values; each path lies at or below `path`. With none, an instance is left without resources, and a resource without
                 *     instances.
                 */
                values: components["schemas"]["PathValue"][];
            };
        } | {
            /** @description Sets when the device notifies. */
            write_attributes: {
                /** @description `pmin`, `pmax`, `gt`, `lt`, `st`, `epmin`, `epmax`, `con`, `edge` or `hqmax` to a value; `null` unsets. */
                attributes: {
                    [key: string]: string | null;
                };
                /** @description The path. */
                path: string;
            };
        } | {
            /** @description Runs a resource. */
            execute: {
                /** @description The arguments, for example "0,1='text'". */
                arguments?: string | null;
                /** @description Its path or id. */
                path: string;
            };
        } | {
            /** @description A new instance of an object. */
            create: {
                /** @description The format of the payload. */
                format?: string | null;
                /**
                 * Format: int32
                 * @description The instance's id; the device chooses if there is none, which can be said in TLV alone.
                 */
                instance?: number | null;
                /** @description The object. */
                path: string;
                /** @description Its values, with paths relative to the instance, for example "5700" or "5750/0". */
                values: components["schemas"]["PathValue"][];
            };
        } | {
            /** @description Removes an instance or a resource instance. */
            delete: {
                /** @description Its path or id. */
                path: string;
            };
        } | {
            /** @description The current values, and a notification whenever they change. */
            observe: {
                /** @description The format of the device's answer. */
                format?: string | null;
                /** @description The path. */
                path: string;
            };
        } | {
            /** @description Ends an observation. */
            cancel_observe: {
                /** @description The path of the observation. */
                path: string;
            };
        } | {
            /** @description The values at several paths. */
            read_composite: {
                /** @description The format of the device's answer. */
                format?: string | null;
                /** @description In which format the paths are sent: SENML_CBOR, SENML_JSON or LWM2M_CBOR; that of the answer if left out. */
                path_format?: string | null;
                /** @description The path. */
                paths: string[];
            };
        } | {
            /** @description New values at several paths: all, or none. */
            write_composite: {
                /** @description The format of the payload. */
                format?: string | null;
                /** @description The values. */
                values: components["schemas"]["PathValue"][];
            };
        } | {
            /** @description The current values at several paths, and a notification whenever one changes. */
            observe_composite: {
                /** @description The format of the device's answer. */
                format?: string | null;
                /** @description In which format the paths are sent: SENML_CBOR, SENML_JSON or LWM2M_CBOR; that of the answer if left out. */
                path_format?: string | null;
                /** @description The path. */
                paths: string[];
            };
        } | {
            /** @description Ends an observation of several paths. */
            cancel_observe_composite: {
                /** @description In which format the paths are sent, as they were in the Observe. */
                path_format?: string | null;
                /** @description The paths of the observation. */
                paths: string[];
            };
        };
        /** @description The definition of a resource. */
        ResourceDefinition: {
            /**
             * Format: int32
             * @description Its id.
             */
            id: number;
            /** @description What its numbers mean, if each has a meaning of its own: "0" is "Idle". */
            labels?: {
                [key: string]: string;
            };
            /** @description Whether every instance of the object has it. */
            mandatory: boolean;
            /** @description Whether it has instances. */
            multiple: boolean;
            /** @description Its name. */
            name: string;
            /** @description What a server may do with it: "R", "W", "RW", "E" or "". */
            operations: string;
            /** @description The values that it can have, as its definition states them, for example "0..100". */
            range?: string | null;
            /** @description The type of its values, for example "float"; absent if it has no value. */
            type?: string | null;
            /** @description The unit of its values, for example "Cel". */
            units?: string | null;
        };
        /** @description How a campaign goes on. */
        ResumeCampaign: {
            /** @description Another image for all devices, from the first wave on. */
            firmware?: string | null;
            /** @description Its version; by default the one that the image says. */
            version?: string | null;
        };
        /** @description Tries devices again on which a job failed, or which it did not reach. */
        RetryJob: {
            /**
             * Format: int64
             * @description The new deadline; milliseconds since the epoch. By default in a day.
             */
            deadline?: number | null;
        };
        /**
         * @description What somebody may do. Each role may do all that the roles before it may.
         * @enum {string}
         */
        Role: "viewer" | "operator" | "admin";
        /** @description One value of a time series; with `step`, a summary of the numeric values of one interval. */
        Sample: {
            /**
             * Format: int64
             * @description The time of the value, or the start of the interval.
             */
            at: number;
            /**
             * Format: int64
             * @description In a summary: the number of values.
             */
            count?: number | null;
            /** @description In a summary: the largest value. */
            max?: unknown;
            /** @description In a summary: the smallest value. */
            min?: unknown;
            /** @description A number, text, or hexadecimal digits; in a summary, the mean. Numbers that JSON doesn't have are text: "inf", "-inf", "NaN". */
            value: unknown;
        };
        /** @description A filter that was saved under a name. */
        SavedFilter: {
            /** @description What it is for. */
            description?: string;
            /** @description The filter. */
            filter: string;
            /** @description Its name. */
            name: string;
        };
        /** @description A second factor that was prepared, and counts when a code of it was confirmed. */
        SecondFactor: {
            /** @description Its secret in Base32 (RFC 4648), to type into an authenticator. */
            secret: components["schemas"]["Secret"];
            /** @description The same as a URI, to show as a QR code. */
            uri: components["schemas"]["Secret"];
        };
        /** @description A secret. It is not printed by accident, and is erased from memory when dropped. */
        Secret: string;
        /** @description Makes the first account, an admin. */
        Setup: {
            /** @description The name of the account. */
            name: string;
            /** @description Its password. */
            password: components["schemas"]["Secret"];
            /** @description The one-time token that the server printed at its start. */
            token: components["schemas"]["Secret"];
        };
        /** @description Whether the server has its first account, and how to make it. */
        SetupState: {
            /** @description Whether there is no account yet. */
            needed: boolean;
            /** @description The identity provider that can sign in, by the name to show; absent if there is none. */
            provider?: string | null;
        };
        /**
         * @description How bad a finding is.
         * @enum {string}
         */
        Severity: "problem" | "attention" | "information";
        /**
         * @description How a request is signed in.
         * @enum {string}
         */
        SignedInBy: "loopback" | "session" | "token";
        /** @description Signs in. */
        SignIn: {
            code?: components["schemas"]["Secret"] | null;
            /** @description The account. */
            name: string;
            /** @description Its password. */
            password: components["schemas"]["Secret"];
        };
        /** @description Signs in by a link. */
        SignInByLink: {
            /** @description The token in the link. */
            token: components["schemas"]["Secret"];
        };
        /** @description A link that signs a browser in once: the page with `#sign-in=TOKEN` behind its address. Browsers send that part to nobody. */
        SignInLink: {
            /** @description The account that it signs in to. */
            account: string;
            /**
             * Format: int64
             * @description When it stops to count.
             */
            expires_at: number;
            /** @description What the page sends to `/api/v1/sign-in/link`. It is shown this once. */
            token: components["schemas"]["Secret"];
        };
        /** @description A command for all devices that a filter matches now and that the principal may command. */
        StartJob: {
            /**
             * Format: int32
             * @description The most devices that are waited for at a time; those that sleep don't count.
             */
            concurrent?: number;
            /**
             * Format: int64
             * @description When devices are given up that were not reached; milliseconds since the epoch. By default in a day.
             */
            deadline?: number | null;
            /**
             * Format: int64
             * @description The number of devices that the caller expects: if it is another one, nothing is done. Needed for a factory reset, a wipe, a Delete and new keys.
             */
            devices?: number | null;
            /** @description Which devices: a filter. The empty one matches all. */
            filter?: string;
            /** @description Its name; by default the command in words. */
            name?: string | null;
            /**
             * Format: int32
             * @description The most devices that get the command in a minute.
             */
            per_minute?: number | null;
            /** @description The command. */
            request: components["schemas"]["Request"];
            /**
             * Format: int32
             * @description How often a device that did not answer is tried again. An Execute, a Create and a Delete are never repeated by themselves.
             */
            retries?: number;
            /** @description When a device has done it. */
            until?: components["schemas"]["JobUntil"];
        };
        /** @description Starts an operation on a device. */
        StartOperation: {
            /**
             * Format: int64
             * @description Seconds until it expires. The default is 60, and seven days for a device that sleeps; the maximum is 30 days.
             */
            deadline?: number | null;
            /** @description The device. */
            endpoint: string;
            /** @description The request to the device. */
            request: components["schemas"]["Request"];
            /**
             * Format: int64
             * @description Seconds that the call waits for the end. The default is 5, the maximum 600. The operation continues after that.
             */
            wait?: number | null;
        };
        /** @description Starts a firmware update. */
        StartUpdate: {
            /** @description How the image gets to the device. */
            delivery?: components["schemas"]["Delivery"];
            /**
             * Format: int64
             * @description The most seconds that the download may take.
             */
            download_timeout?: number | null;
            /** @description The device. */
            endpoint: string;
            /** @description The image. */
            firmware: string;
            /**
             * Format: int64
             * @description The most seconds from the request to install until the device has confirmed.
             */
            install_timeout?: number | null;
            /** @description The version that the device will report; the default is that of the image. */
            version?: string | null;
        };
        /** @description An event and its time. */
        TimedEvent: components["schemas"]["Event"] & {
            /**
             * Format: int64
             * @description When the server published it.
             */
            at: number;
        };
        /** @description An API token: what programs use in place of a sign-in. */
        Token: {
            /** @description The account that it belongs to. It may never do more than this. */
            account: string;
            /**
             * Format: int64
             * @description When it was made.
             */
            created_at: number;
            /**
             * Format: int64
             * @description When it stops to count; absent if never.
             */
            expires_at?: number | null;
            /** @description What it may do. */
            grants: components["schemas"]["Grant"][];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /**
             * Format: int64
             * @description When it was last used, to the minute or so.
             */
            last_used_at?: number | null;
            /** @description Its name. */
            name: string;
        };
        /** @description A CoAP message of a device that is traced. */
        TracedMessage: {
            /**
             * Format: int64
             * @description When it came or went.
             */
            at: number;
            /** @description The whole message, in hexadecimal digits. */
            bytes: string;
            /** @description For example "2.05"; "0.01" is a GET. */
            code: string;
            /** @description Whether it came from the device. */
            incoming: boolean;
            /**
             * Format: int32
             * @description The message id.
             */
            message_id: number;
            /** @description The options, in the order of the message. */
            options: components["schemas"]["TracedOption"][];
            /** @description The payload, if there is one: text, or hexadecimal digits behind "0x". */
            payload?: string | null;
            /** @description The token, in hexadecimal digits. */
            token: string;
            /** @description CON, NON, ACK or RST. */
            type: string;
        };
        /** @description An option of a CoAP message. */
        TracedOption: {
            /** @description For example "Uri-Path"; the number of one that is not known. */
            name: string;
            /** @description Text, a number, or hexadecimal digits behind "0x". */
            value: string;
        };
        /** @description A firmware update of one device. */
        Update: {
            /** @description The state as text, with the device's codes. */
            detail: string;
            /**
             * Format: int64
             * @description Bytes of the image that were sent to the device; only if one open update is requested.
             */
            downloaded?: number | null;
            /** @description Whether it has ended. */
            ended: boolean;
            /** @description The device. */
            endpoint: string;
            /** @description The image. */
            firmware: string;
            /** @description The stages so far. */
            history: components["schemas"]["UpdateStage"][];
            /**
             * Format: int64
             * @description Its id.
             */
            id: number;
            /** @description The version that the device ran before. */
            old_version?: string | null;
            /**
             * @description inspecting, ordering, downloading, executing, installing, deferred, confirming; or how it ended: updated, already_running,
             *     rolled_back, unexpected_version, refused, failed, timed_out, cancelled.
             */
            state: string;
            /** @description The version that the device has to report. */
            version: string;
        };
        /** @description A stage of an update. */
        UpdateStage: {
            /**
             * Format: int64
             * @description When it was entered.
             */
            at: number;
            /** @description As [`Update::detail`]. */
            detail: string;
        };
        /** @description What is wrong with a device, derived from what the server has seen. */
        Why: {
            /**
             * Format: int64
             * @description When this was derived.
             */
            at: number;
            /** @description The endpoint name. */
            endpoint: string;
            /** @description What is wrong, the most severe first. */
            findings: components["schemas"]["Finding"][];
            /** @description What was looked at: what is not listed here is not known. */
            looked_at: string[];
            state?: components["schemas"]["DeviceState"] | null;
            /** @description The device in one sentence; without findings, that nothing is wrong. */
            summary: string;
        };
        /**
         * @description What happens to values that a Write does not contain.
         * @enum {string}
         */
        WriteMode: "update" | "replace";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
