import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { now } from './lib/now.svelte';
import { session } from './lib/session.svelte';
import { settings } from './lib/settings.svelte';

settings.apply();
now.start();
void session.load();
// A link that is pasted where the page is open already changes the fragment alone.
addEventListener('hashchange', () => location.hash.startsWith('#sign-in=') && void session.load());

const target = document.getElementById('app');
if (target) mount(App, { target });
