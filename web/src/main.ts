import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { live } from './lib/live.svelte';
import { now } from './lib/now.svelte';
import { settings } from './lib/settings.svelte';

settings.apply();
now.start();
live.start();

const target = document.getElementById('app');
if (target) mount(App, { target });
